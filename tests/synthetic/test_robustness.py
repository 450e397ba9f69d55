"""The robustness benchmark: each curve varies one thing, and what it writes is what it measured."""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import robustness
from bigcell.engine.pipeline.stage_runner import Result
from bigcell.synthetic import look_of, tissue_of

PLAIN = robustness.Trial(look_of("nuclei"), tissue_of("nuclei"), planes=False)


@pytest.mark.parametrize("name", robustness.CURVES)
def test_a_curve_varies_one_thing(name: str) -> None:
    _, change, values = robustness.CURVES[name]
    low, high = change(PLAIN, values[0]), change(PLAIN, values[-1])
    assert low != high
    assert change(low, values[-1]) == high
    back = {"look": low.look, "tissue": low.tissue, "stretch": low.stretch, "told": low.told}
    assert sum(replace(high, **{part: value}) == low for part, value in back.items()) == 1


def test_long_voxels_are_fewer_and_hold_the_same_room() -> None:
    made = robustness.made(replace(PLAIN, stretch=4.0), 1)
    assert made.labels.shape == (16, 128, 128)
    assert made.spacing.anisotropy == 4


def test_points_come_from_counts_and_are_written_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.kron(np.arange(1, 5).reshape(1, 2, 2), np.ones((1, 8, 8), int))
    made = replace(robustness.made(replace(PLAIN, planes=True), 1), labels=truth)
    told: list[float] = []

    def segment(image: object, *, model: str, diameter: float) -> Result:
        told.append(diameter)
        found = np.where(truth < 4, truth, 0)  # one cell of four is missed
        return Result(objects=3, labels=found[0])

    monkeypatch.setattr(robustness.bigcell, "segment", segment)
    monkeypatch.setattr(robustness, "made", lambda trial, seed: made)
    options = argparse.Namespace(kind="nuclei", model="any", seeds=2)
    points = list(robustness.curve("diameter", True, options))
    assert told[::2] == [17 * value for value in robustness.CURVES["diameter"][2]]
    assert {(p.cells, p.found, p.precision, p.recall) for p in points} == {(8, 6, 1.0, 0.75)}
    assert points[0].f1 == pytest.approx(6 / 7)
    assert not list(robustness.curve("anisotropy", True, options))
    robustness.write_csv(points, tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [float(row["value"]) for row in rows] == list(robustness.CURVES["diameter"][2])
    assert {row["f1"] for row in rows} == {"0.8571"}
    for name in ("a.svg", "b.svg"):
        robustness.draw(points, tmp_path / name, "any")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert robustness.table(points).splitlines()[2] == "| F1, 2-D |" + " 0.857 |" * len(points)
