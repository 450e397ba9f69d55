"""Voxel sizes, axis by axis: what is known stays known beside what is not."""

from __future__ import annotations

import pytest

from bigcell.core.axes import NO_SIZE, Spacing


def test_a_size_that_is_not_known_takes_none_of_the_others_along() -> None:
    space = Spacing.measured((None, 500, 0.5), (None, "nm", "um"))
    assert space == Spacing(1.0, 0.5, 0.5, known=False, units=(NO_SIZE, "µm", "µm"))
    assert [space.in_um(a) for a in "zyx"] == [False, True, True]


@pytest.mark.parametrize("size", [None, 0.0, float("nan"), float("inf"), 1e300, 1e-300])
def test_a_number_that_is_no_size_is_unknown(size: float | None) -> None:
    assert Spacing.measured((size, 1, 1), ("um",) * 3).units == (NO_SIZE, "µm", "µm")


@pytest.mark.parametrize(
    ("units", "anisotropy"),
    [
        (("um", "um", "um"), 4.0),
        ((None, None, None), 4.0),
        (("pixel", "pixel", "pixel"), 4.0),
        (("reference frame",) * 3, 4.0),
        ((None, "um", "um"), 1.0),
        (("um", "um", None), 1.0),
        (("pixel", "um", "um"), 1.0),
        (("second", None, None), 1.0),
    ],
)
def test_sizes_have_a_ratio_where_they_are_in_one_unit(units: tuple[str | None, ...], anisotropy: float) -> None:
    assert Spacing.measured((2.0, 0.5, 0.5), units).anisotropy == anisotropy


def test_sizes_that_nothing_tells_have_no_ratio() -> None:
    assert not Spacing.measured((None, None, None), (None, None, None)).compares("z")


def test_a_step_backwards_is_as_long() -> None:
    space = Spacing.measured((-1.5, 0.5, 0.5), ("um",) * 3)
    assert space == Spacing(1.5, 0.5, 0.5)
    assert space.backward == ("z",)
    assert "the negative step along z counts as positive" in space.remark()
    assert space.remark("yx") == ""


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (Spacing(2, 0.5, 0.5), "2 x 0.5 x 0.5 µm"),
        (Spacing(2, 0.5, 0.5, known=False), "2 x 0.5 x 0.5, unit unknown"),
        (Spacing.measured((2, 1, 1), ("pixel",) * 3), "2 x 1 x 1 pixel"),
        (Spacing.measured((None, 1, 1), (None, "um", "")), "(size unknown) x 1 µm x 1 (unit unknown)"),
        (Spacing.measured((None,) * 3, (None,) * 3), "size unknown"),
    ],
)
def test_sizes_in_words(space: Spacing, text: str) -> None:
    assert space.described() == text


@pytest.mark.parametrize(
    "wrong", [{"units": ("µm",) * 2}, {"units": ("µm", "", "")}, {"known": False, "units": ("µm",) * 3}]
)
def test_units_that_contradict_what_is_known(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="wanted three of each"):
        Spacing(**wrong)  # type: ignore[arg-type]
