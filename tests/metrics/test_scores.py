"""All scores as one value: JSON, the table, and what thresholds may be."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.metrics.boundary import Ball
from bigcell.metrics.matching import compare
from bigcell.metrics.overlaps import overlaps
from bigcell.metrics.scores import THRESHOLDS, score
from bigcell.metrics.tally import tally

RandomPair = Callable[..., tuple[Array, Array]]


def test_thresholds_are_the_usual_ten() -> None:
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_each_threshold_is_a_matching(random_pair: RandomPair) -> None:
    truth, found = random_pair(11, (9, 12, 12))
    scores = score(overlaps(truth, found), thresholds=(0.7, 0.2, 0.5, 0.5))
    assert [one.threshold for one in scores.at] == [0.2, 0.5, 0.7]
    for one in scores.at:
        plain = compare(truth, found, threshold=one.threshold)
        assert (one.matched, one.n_truth, one.n_found) == (plain.matched, plain.n_truth, plain.n_found)
        assert one.mean_iou == plain.mean_iou
    assert scores.mean_average_precision == pytest.approx(np.mean([one.average_precision for one in scores.at]))


def test_sizes_of_matched_cells() -> None:
    truth, found = np.zeros((2, 3, 20), int)
    truth[:, :10], found[0, :8], found[1, :12], found[2, :6] = [[1], [2], [3]], 1, 2, 3
    sizes = score(overlaps(truth, found)).sizes
    assert (sizes.bias, sizes.error) == pytest.approx((-0.2, 0.2))


def test_json_has_every_number_of_the_table(random_pair: RandomPair) -> None:
    truth, found = random_pair(5)
    scores = score(tally(truth, found, Ball()))
    values = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert values["cells"] == {"truth": scores.n_truth, "found": scores.n_found}
    assert values["voxels"] == truth.size
    assert [one["threshold"] for one in values["thresholds"]] == list(THRESHOLDS)
    assert values["thresholds"][0]["f1"] == scores.at[0].f1
    assert values["boundary"]["f1"] == scores.boundary.f1 > 0
    table = str(scores)
    assert f"{scores.at[0].f1:.3f}" in table
    assert f"{scores.boundary.f1:.3f}" in table
    assert max(map(len, table.splitlines())) <= 100


def test_overlaps_alone_have_no_boundary(random_pair: RandomPair) -> None:
    scores = score(overlaps(*random_pair(5)))
    assert scores.boundary is None
    assert scores.to_json()["boundary"] is None
    assert "boundary" not in str(scores)


def test_nothing_and_perfection() -> None:
    nothing = np.zeros((1, 4, 4), int)
    for labels in (nothing, np.arange(16).reshape(1, 4, 4)):
        values = score(tally(labels, labels, Ball())).to_json()
        json.dumps(values, allow_nan=False)
        perfect = ("mean_average_precision", "aggregated_jaccard", "best_iou", "rand_f", "seg", "foreground_iou")
        assert {values[name] for name in perfect} == {1}
        assert values["variation_of_information"] == {"split_bits": 0, "merge_bits": 0}
        assert values["boundary"]["f1"] == 1
        assert values["split"] == values["merged"] == values["size_error"] == 0


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.5, 1.1), (float("nan"),)])
def test_thresholds_that_are_none(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(SettingsError, match="thresholds"):
        score(overlaps(np.ones(3, int), np.ones(3, int)), thresholds=thresholds)
