"""Volumes at rest: crops of all views, targets that are kept, and a split with a gap."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.sampling import Tiles
from bigcell.training.data.split import SplitSettings
from bigcell.training.data.volumes import VolumeSource, open_labelled, split_volume, volume_source
from bigcell.training.stacks.stack import Reading

SMALL = Augmentation(crop=32, diameter=14)


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigcell.training.stacks.stack.LARGE", 0)


def source_of(store: Path, **more: object) -> VolumeSource:
    return volume_source(open_labelled(str(store)), Reading(), **more)  # type: ignore[arg-type]


def crops(source: VolumeSource, count: int = 8) -> list[np.ndarray]:
    drawn = [source.draw(np.random.default_rng(seed), SMALL) for seed in range(count)]
    return [np.concatenate([crop.image, crop.flows, crop.inside[None]]) for crop in drawn]


def cold(source: VolumeSource) -> VolumeSource:
    """As another process has it."""
    sent: VolumeSource = pickle.loads(pickle.dumps(source))
    assert sent.tiles.bytes == 0
    return sent


def test_a_volume_with_labels(store: Path) -> None:
    source = source_of(store)
    assert (source.channels, source.stack.anisotropy) == (2, 2.0)
    assert 10 < source.stack.diameter < 15
    assert {view.axis for view in source.stack.views(source.stack.boxes[0])} == {0, 1, 2}
    assert len(list(source.planes())) == 24


def test_kept_targets_give_the_same_crops(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(store)
    first = crops(source)
    assert (store / "labels/.cells.targets").is_dir()
    monkeypatch.setattr("bigcell.training.crops.sampling.make_tile", lambda *_: pytest.fail("made again"))
    again = crops(cold(source))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_targets_of_small_volumes_are_not_kept(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigcell.training.stacks.stack.LARGE", 1 << 28)
    crops(source_of(store), 1)
    assert not (store / "labels/.cells.targets").exists()


def test_targets_of_labels_that_changed_are_not_believed(store: Path) -> None:
    source = source_of(store)
    crops(source)
    (old,) = (store / "labels/.cells.targets").iterdir()
    array = zarr.open_array(store / "labels/cells/0", mode="r+")
    labels = np.asarray(array[...])
    array[...] = np.where(labels == labels.max(), 0, labels)
    fresh = source_of(store)
    changed = crops(fresh)
    assert not old.exists()
    bare = VolumeSource(fresh.stack.__class__(**{**vars(fresh.stack), "kept": None}), 1.0, Tiles(0))
    assert all(np.array_equal(a, b) for a, b in zip(changed, crops(bare), strict=True))


def test_without_room_beside_the_labels_nothing_is_kept(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigcell.io.labels.training_targets.os.access", lambda path, mode: False)
    source = source_of(store)
    assert source.stack.kept is None
    crops(source, 1)
    assert not (store / "labels/.cells.targets").exists()


def test_single_planes_of_all_orientations(store: Path) -> None:
    boxes = [Box((9, 0, 0), (10, 72, 80)), Box((0, 30, 0), (30, 31, 80)), Box((0, 0, 40), (30, 72, 41))]
    source = source_of(store, boxes=boxes)
    axes = [tuple(view.axis for view in source.stack.views(box)) for box in source.stack.boxes]
    assert axes == [(0,), (1,), (2,)]
    drawn = [source.draw(np.random.default_rng(seed), SMALL) for seed in range(12)]
    assert all(crop.known is not None and crop.known.any() for crop in drawn)
    assert {plane.labels.shape for plane in source.planes()} == {(72, 80), (60, 80), (60, 72)}


def test_a_slab_is_kept_for_validation(store: Path) -> None:
    source = source_of(store)
    train, kept = split_volume(source, SplitSettings(0.2, gap=20, axis="x"), None)
    assert kept is not None
    assert kept.name.endswith("(validation)")
    assert (train.stack.bounds.stop[2], kept.stack.bounds.start[2]) == (44, 64)
    assert all(plane.labels.shape[-1] <= 72 for plane in kept.planes())
    assert np.array_equal(train.stack.levels.low, source.stack.levels.low)
    assert split_volume(source, SplitSettings(0.0), None) == (source, None)


def test_a_box_in_the_slab_only_leaves_nothing_to_train_on(store: Path) -> None:
    source = source_of(store, boxes=[Box((0, 0, 70), (30, 72, 80))])
    with pytest.raises(InputError, match=r"brain\.zarr: nothing within .* is annotated"):
        split_volume(source, SplitSettings(0.2, gap=20, axis="x"), None)


def test_labels_by_name_or_by_path(store: Path) -> None:
    for labels in ("cells", f"{store}/labels/cells"):
        given = open_labelled(str(store), labels, channels=["nuclei"])
        assert given.image.channels == ("nuclei",)
        assert given.labels.extent == (30, 72, 80)
    with pytest.raises(InputError, match="nothing"):
        open_labelled(str(store), "nothing")
    shutil.copytree(store / "labels" / "cells", store / "labels" / "more")
    zarr.open_group(store / "labels", mode="a").attrs["ome"] = {"labels": ["cells", "more"]}
    with pytest.raises(InputError, match="several labels"):
        open_labelled(str(store))
    zarr.open_group(store / "labels", mode="a").attrs["ome"] = {"labels": []}
    with pytest.raises(InputError, match=r"brain\.zarr has no labels"):
        open_labelled(str(store))
