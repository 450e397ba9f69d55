"""Scores as Cellpose and StarDist give them, on planes and volumes that agree well, badly, wholly and not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bigcell.metrics.jaccard import aggregated_jaccard_one_to_one
from bigcell.metrics.matching import Matching, match
from bigcell.metrics.overlaps import overlaps
from bigcell.metrics.pairs import CellPairs
from scripts.parity.label_pairs import THRESHOLDS, label_pairs

NAMES = list(label_pairs())
PEERS = ["cellpose3", "cellpose4"]


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return label_pairs()


def matchings(pair: tuple[np.ndarray, np.ndarray]) -> list[Matching]:
    shared = overlaps(*pair)
    return [match(shared, threshold=t) for t in THRESHOLDS]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("peer", PEERS)
def test_average_precision_of_cellpose(peer: str, name: str, pairs: Any, answers: Any) -> None:
    wanted, got, row = answers("metrics"), matchings(pairs[name]), NAMES.index(name)
    for key, of in (("tp", "matched"), ("fp", "extra"), ("fn", "missed")):
        assert [getattr(one, of) for one in got] == wanted[f"{peer}/{key}"][row].tolist()
    found = np.array([one.average_precision for one in got])
    assert found == pytest.approx(wanted[f"{peer}/ap"][row], abs=1e-7)  # float32 there
    assert name in ("same", "none_found") or len(set(found.tolist())) > 2, "the case tells thresholds apart"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("peer", PEERS)
def test_aggregated_jaccard_of_cellpose(peer: str, name: str, pairs: Any, answers: Any) -> None:
    got = aggregated_jaccard_one_to_one(CellPairs.of(overlaps(*pairs[name])))
    assert got == pytest.approx(answers("metrics")[f"{peer}/aji"][NAMES.index(name)], abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_matching_of_stardist(name: str, pairs: Any, answers: Any) -> None:
    wanted, got, row = answers("metrics"), matchings(pairs[name]), NAMES.index(name)
    ours = {
        "tp": "matched",
        "fp": "extra",
        "fn": "missed",
        "recall": "recall",
        "accuracy": "average_precision",
        "f1": "f1",
        "mean_matched_score": "mean_iou",
        "panoptic_quality": "panoptic_quality",
    }
    for key, of in ours.items():  # IoUs are float32 there
        values = np.array([getattr(one, of) for one in got])
        assert values == pytest.approx(wanted[f"stardist/{key}"][row], abs=1e-7), key
    shared = np.array([one.mean_iou * one.recall for one in got])
    assert shared == pytest.approx(wanted["stardist/mean_true_score"][row], abs=1e-7)
    if name != "none_found":  # of no cells found none is wrong: 1 here, 0 there
        precision = np.array([one.precision for one in got])
        assert precision == pytest.approx(wanted["stardist/precision"][row], abs=1e-12)
