"""Splits: images by their names, volumes by a slab behind a gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.errors import SettingsError
from bigcell.training.data.split import SplitSettings, split_box, split_names

NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=60, unique=True)


@given(NAMES, st.floats(0.01, 0.9), st.integers(0, 5))
def test_each_image_is_on_one_side(names: list[str], part: float, seed: int) -> None:
    train, kept = split_names(names, SplitSettings(part, seed=seed))
    assert sorted(train + kept) == list(range(len(names)))
    assert train
    assert kept


def test_an_image_that_is_added_moves_none() -> None:
    names = [f"{i}.png" for i in range(200)]
    settings = SplitSettings(0.2)
    before = {names[i] for i in split_names(names, settings)[1]}
    more = [f"new{i}.png" for i in range(100)] + names
    after = {more[i] for i in split_names(more, settings)[1]}
    assert after & set(names) == before
    assert 20 < len(before) < 60
    assert before != {names[i] for i in split_names(names, SplitSettings(0.2, seed=1))[1]}


def test_nothing_kept() -> None:
    assert split_names(["a", "b"], SplitSettings(0)) == ([0, 1], [])
    assert split_names(["a"], SplitSettings(0.5)) == ([0], [])


@given(st.tuples(st.integers(80, 200), st.integers(80, 300), st.integers(80, 300)), st.floats(0.05, 0.4))
def test_a_slab_lies_behind_the_gap(extent: tuple[int, int, int], part: float) -> None:
    train, slab = split_box(extent, SplitSettings(part), diameter=10)
    assert slab is not None
    axis = extent.index(max(extent))
    assert slab.start[axis] - train.stop[axis] == 20, "two diameters"
    assert slab.stop == extent
    assert slab.shape[axis] == max(1, round(part * extent[axis]))


def test_along_z_a_diameter_is_fewer_long_voxels() -> None:
    train, slab = split_box((40, 50, 50), SplitSettings(0.25), diameter=20, anisotropy=4.0)
    assert slab is not None
    assert (train.stop[0], slab.start[0]) == (20, 30)


@pytest.mark.parametrize(
    ("settings", "told"),
    [(SplitSettings(0.1, gap=5), "wanted at least as many"), (SplitSettings(0.9), "leave none to train on")],
)
def test_splits_that_make_no_sense(settings: SplitSettings, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        split_box((100, 50, 50), settings, diameter=10)


@pytest.mark.parametrize("bad", [{"validation": 1.0}, {"validation": "x"}, {"axis": "t"}, {"gap": -1}])
def test_settings_are_checked(bad: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="wanted"):
        SplitSettings(**bad)  # type: ignore[arg-type]
