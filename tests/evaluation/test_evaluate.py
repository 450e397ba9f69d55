"""Two label volumes compared block by block: as the whole, however stored and whoever counts; what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.io import imsave

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, OutputError, SettingsError
from bigcell.core.volume import Array, ArrayVolume
from bigcell.engine.runtime.events import StageFinished, StageStarted, TaskDone
from bigcell.engine.runtime.executors import SerialExecutor
from bigcell.evaluation.evaluate import EvaluateSettings, ball_of, compare_volumes, useful_workers
from bigcell.evaluation.inputs import block_shape, open_compared, open_labels
from bigcell.evaluation.output import check_file, save_mistakes, save_scores
from bigcell.metrics.boundary import Ball
from bigcell.metrics.mistakes import mistakes
from bigcell.metrics.scores import score
from bigcell.metrics.tally import merged_tallies, tally

SPACE = Spacing(2.0, 0.5, 0.5)


def draw(seed: int, extent: tuple[int, int, int] = (7, 20, 24)) -> tuple[Array, Array]:
    """Boxes of cells, and the same moved, with some fused and some voxels lost."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(extent)
    truth = ((z // 4) * 30 + (y // 5) * 6 + x // 5 + 1) * (rng.random(extent) < 0.97)
    found = np.roll(truth, rng.integers(0, 3, 3), (0, 1, 2))
    found = np.where(rng.random(extent) < 0.05, 0, np.where(found % 7 == 0, found + 1, found))
    return truth.astype(np.uint32), found.astype(np.uint16)


@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 7), st.integers(3, 20), st.integers(4, 24)),
    st.sampled_from([0.0, 2.0, 3.0]),
)
@settings(max_examples=15)
def test_any_blocks_give_the_scores_of_the_whole(seed: int, block: tuple[int, int, int], tolerance: float) -> None:
    truth, found = draw(seed)
    compared = open_compared(ArrayVolume(found, SPACE), ArrayVolume(truth, SPACE), None)
    got = compare_volumes(compared, EvaluateSettings(tolerance=tolerance), SerialExecutor(), block=block)
    whole = tally(truth, found, Ball(tolerance, (4.0, 1.0, 1.0)))
    assert got.scores == score(whole)
    assert list(got.mistakes()) == list(mistakes(whole))


@given(st.integers(0, 10**6), st.tuples(st.integers(1, 7), st.integers(3, 20), st.integers(4, 24)))
@settings(max_examples=10)
def test_boxes_are_compared_as_if_there_were_nothing_else(seed: int, block: tuple[int, int, int]) -> None:
    truth, found = draw(seed)
    boxes = [Box((0, 2, 1), (5, 9, 20)), Box((5, 2, 1), (7, 20, 24))]
    got = bigcell.evaluate(found, truth, boxes=boxes, block=block)
    parts = [tally(truth[b.slices], found[b.slices], Ball(), corner=b.start) for b in boxes]
    assert got.scores == score(merged_tallies(parts))
    assert got.scores.voxels == sum(box.size for box in boxes)


def test_a_volume_agrees_with_itself() -> None:
    truth, _ = draw(1)
    done = bigcell.evaluate(truth, truth)
    assert done.scores.mean_average_precision == done.scores.boundary.f1 == done.scores.aggregated_jaccard == 1
    assert len(done.mistakes()) == 0


def test_every_store_gives_the_same_scores(tmp_path: Path, write_labels: Callable[..., Path]) -> None:
    truth, found = draw(2)
    wanted = bigcell.evaluate(found, truth).scores
    tifffile.imwrite(tmp_path / "found.tif", found, imagej=True, metadata={"axes": "ZYX"})
    np.save(tmp_path / "truth.npy", truth)
    stores = [write_labels(tmp_path / f"{v}.zarr", found, version=v) for v in ("0.4", "0.5")]
    for one in [tmp_path / "found.tif", *stores]:
        assert bigcell.evaluate(one, tmp_path / "truth.npy", workers=1).scores == wanted
    tifffile.imwrite(tmp_path / "plain.tif", found, photometric="minisblack")
    assert bigcell.evaluate(tmp_path / "plain.tif", truth, axes="zyx").scores == wanted
    with pytest.raises(InputError, match="does not say what its axes are"):
        bigcell.evaluate(tmp_path / "plain.tif", truth)
    imsave(tmp_path / "plane.png", found[3], check_contrast=False)
    assert bigcell.evaluate(tmp_path / "plane.png", truth[3]).scores == bigcell.evaluate(found[3], truth[3]).scores


def test_processes_count_as_one_does(tmp_path: Path, write_labels: Callable[..., Path]) -> None:
    truth, found = draw(3)
    stores = [write_labels(tmp_path / f"{n}.zarr", v) for n, v in (("found", found), ("truth", truth))]
    heard: list[Any] = []
    serial = bigcell.evaluate(*stores, workers=1, block=(4, 8, 8), listener=heard.append)
    assert isinstance(heard[0], StageStarted)
    assert isinstance(heard[-1], StageFinished)
    assert heard[0].total == sum(isinstance(event, TaskDone) for event in heard) == 2 * 3 * 3
    assert sum(event.voxels for event in heard if isinstance(event, TaskDone)) == heard[0].voxels == truth.size
    assert bigcell.evaluate(*stores, workers=2, block=(4, 8, 8)).scores == serial.scores


def test_names_in_a_store(tmp_path: Path, write_labels: Callable[..., Path]) -> None:
    truth, found = draw(4)
    wanted = bigcell.evaluate(found, truth).scores
    one = write_labels(tmp_path / "one.zarr", found, names=("cells",))
    two = write_labels(tmp_path / "two.zarr", found, names=("cells", "nuclei"))
    assert bigcell.evaluate(one, truth).scores == wanted, "the only labels need no name"
    assert bigcell.evaluate(two, truth, labels="nuclei").scores == wanted
    assert bigcell.evaluate(two / "labels" / "cells", truth).scores == wanted
    with pytest.raises(InputError, match="has labels cells, nuclei; say which"):
        bigcell.evaluate(two, truth)
    with pytest.raises(InputError, match="no labels 'x'; it has: cells, nuclei"):
        bigcell.evaluate(two, truth, labels="x")
    with pytest.raises(SettingsError, match="has no names"):
        bigcell.evaluate(found, truth, labels="cells")


def test_time_points(tmp_path: Path) -> None:
    truth, found = draw(5)
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, np.stack([truth, found]).astype(np.uint16), metadata={"axes": "TZYX"}, imagej=True)
    assert bigcell.evaluate(movie, truth, time=1).scores == bigcell.evaluate(found, truth).scores
    with pytest.raises(SettingsError, match="has 2 time points; say which one to compare, 0 to 1"):
        bigcell.evaluate(movie, truth)
    with pytest.raises(SettingsError, match="2 time points"):
        bigcell.evaluate(movie, truth, time=2)


def test_what_is_not_alike_is_refused(tmp_path: Path, write_labels: Callable[..., Path]) -> None:
    truth, found = draw(6)
    with pytest.raises(InputError, match=r"7 x 20 x 23.*7 x 20 x 24.*same extent"):
        bigcell.evaluate(found[..., :-1], truth)
    with pytest.raises(InputError, match="float64, wanted labels"):
        bigcell.evaluate(found / 2, truth)
    with pytest.raises(InputError, match="2 channels, wanted labels"):
        bigcell.evaluate(np.stack([found, found]), truth)
    with pytest.raises(InputError, match="what was found holds -1 within"):
        bigcell.evaluate(np.full(truth.shape, -1), truth)
    with pytest.raises(InputError, match="does not exist"):
        bigcell.evaluate(tmp_path / "nothing.zarr", truth)
    minus = write_labels(tmp_path / "minus.zarr", truth.astype(np.int32) - 1)
    with pytest.raises(InputError, match=r"minus\.zarr holds -1 within"):
        bigcell.evaluate(found, minus)
    tifffile.imwrite(tmp_path / "short.tif", found[:3], imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match=r"short\.tif has 3 x 20 x 24 .* the truth has 7 x 20 x 24"):
        bigcell.evaluate(tmp_path / "short.tif", truth)
    store = write_labels(tmp_path / "f.zarr", found.astype(np.float32))
    with pytest.raises(InputError, match=r"f.zarr holds float32"):
        bigcell.evaluate(store, truth)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([], "no box"),
        ([Box((0, 0, 0), (8, 2, 2))], "does not lie in"),
        ([Box((0, 0), (2, 2))], "does not lie in"),
        ([Box((0, 0, 0), (0, 2, 2))], "does not lie in"),
        ([Box((3, 0, 0), (5, 9, 9)), Box((0, 0, 0), (1, 9, 9)), Box((4, 8, 8), (6, 10, 10))], "overlap"),
    ],
)
def test_boxes_that_cannot_be(boxes: list[Box], words: str) -> None:
    truth, found = draw(7)
    with pytest.raises(SettingsError, match=words):
        bigcell.evaluate(found, truth, boxes=boxes)


def test_blocks_are_whole_chunks(tmp_path: Path, write_labels: Callable[..., Path]) -> None:
    volume = open_labels(write_labels(tmp_path / "a.zarr", np.zeros((40, 80, 96), np.uint8)))
    assert block_shape(volume, 1) == (32, 32, 32), "a shard at least"
    assert block_shape(volume, 32 * 32 * 64) == (32, 32, 64)
    assert block_shape(volume) == (40, 80, 96)


def test_arrays_are_not_sent_to_processes() -> None:
    truth, found = draw(8)
    compared = open_compared(open_labels(found), open_labels(truth), None)
    assert useful_workers(compared, 8) == 1


def test_what_is_written(tmp_path: Path) -> None:
    truth, found = draw(9)
    compared = open_compared(ArrayVolume(found, SPACE), ArrayVolume(truth, SPACE), None)
    done = compare_volumes(compared, EvaluateSettings(), SerialExecutor())
    save_scores(done, tmp_path / "scores.json")
    values = json.loads((tmp_path / "scores.json").read_text())
    assert values["boxes"] == [{"start": [0, 0, 0], "stop": [7, 20, 24]}]
    assert values["mean_average_precision"] == done.scores.mean_average_precision
    counts = save_mistakes(done, tmp_path / "errors.csv", link=lambda one: f"http://x/{one.truth}")
    with (tmp_path / "errors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(done.mistakes()) == sum(counts.values()) > 3
    for row, one in zip(rows, done.mistakes(), strict=True):
        assert (row["kind"], int(row["truth"]), int(row["found"])) == (one.kind, one.truth, one.found)
        assert float(row["z_um"]) == pytest.approx(2 * one.centre[0], abs=2e-3)
        assert float(row["volume_um3"]) == pytest.approx(one.voxels / 2)
        assert row["link"] == f"http://x/{one.truth}"
    assert not list(tmp_path.glob(".*"))


def test_without_a_voxel_size_there_are_no_um(tmp_path: Path) -> None:
    truth, found = draw(9)
    save_mistakes(bigcell.evaluate(found, truth), tmp_path / "errors.csv")
    with (tmp_path / "errors.csv").open() as file:
        row = next(csv.DictReader(file))
    assert row["x_um"] == row["volume_um3"] == ""
    assert "link" not in row


@pytest.mark.parametrize("axis", "zyx")
def test_micrometres_along_the_axes_whose_size_is_known(tmp_path: Path, axis: str) -> None:
    truth, found = draw(9)
    partly = Spacing.measured((2.0, 0.5, 0.5), ["" if a == axis else "um" for a in "zyx"])
    nothing = ArrayVolume(truth)
    compared = open_compared(ArrayVolume(found, partly), nothing, None)
    assert compared.spacing == partly
    save_mistakes(compare_volumes(compared, EvaluateSettings(), SerialExecutor()), tmp_path / "errors.csv")
    with (tmp_path / "errors.csv").open() as file:
        row = next(csv.DictReader(file))
    assert [a for a in "zyx" if not row[f"{a}_um"]] == [axis]
    assert row["volume_um3"] == ""
    assert open_compared(ArrayVolume(found, partly), ArrayVolume(truth, SPACE), None).spacing == SPACE


def test_a_ratio_in_no_unit_bounds_the_boundary() -> None:
    truth, found = draw(9)
    space = Spacing(3.0, 1.0, 1.0, known=False)
    compared = open_compared(ArrayVolume(found, space), ArrayVolume(truth), None)
    assert ball_of(2.0, compared.spacing).size == (3.0, 1.0, 1.0)


def test_places_that_take_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        check_file(tmp_path)
    with pytest.raises(OutputError, match="make it first"):
        check_file(tmp_path / "no" / "a.csv")
