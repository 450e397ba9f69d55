from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.engine.planning.build import make_plan, voxels
from bigcell.engine.planning.request import Request

IMAGE = ArrayVolume(np.zeros((20, 100, 100), np.uint16), Spacing(2.0, 0.5, 0.5))


@pytest.mark.parametrize("bad", ["", "um", "-3", "0", "nan", "inf um", "8 miles", -1, 0, "1e", "--3um"])
def test_diameters_that_are_none(bad: float | str) -> None:
    with pytest.raises(SettingsError, match="diameter"):
        voxels(bad, Spacing())


@pytest.mark.parametrize("unit", ["um", " um", "µm", "μm"])
def test_micrometres_become_voxels(unit: str) -> None:
    assert voxels(f"8.5{unit}", Spacing(2.0, 0.5, 0.5)) == 17.0


def test_voxel_size_gives_the_anisotropy_unless_told() -> None:
    assert make_plan(Request(), IMAGE, None).settings.anisotropy == 4.0
    assert make_plan(Request(anisotropy=2.0), IMAGE, None).settings.anisotropy == 2.0
    unknown = ArrayVolume(IMAGE.array[0])
    assert make_plan(Request(), unknown, None).settings.anisotropy == 1.0


def test_diameter_and_anisotropy_set_the_networks_grid() -> None:
    plan = make_plan(Request(diameter=34), IMAGE, None)
    assert plan.grids.network == (40, 50, 50)  # cells of 17 voxels, and z as fine as x
    assert make_plan(Request(diameter="17um"), IMAGE, None).grids == plan.grids


def test_a_grid_much_larger_than_the_volume_is_told_of() -> None:
    """Small cells are enlarged for the network: in stacks with the third power."""
    small = make_plan(Request(diameter=5), IMAGE, None)
    (told,) = (note for note in small.notes if "enlarged" in note)
    factor = np.prod(small.lattice.extent) / small.voxels
    assert factor > 100
    assert f"its grid has {factor:.0f} times the voxels of the volume" in told
    assert not [note for note in make_plan(Request(diameter=30), IMAGE, None).notes if "enlarged" in note]


def test_large_cells_are_followed_for_longer() -> None:
    assert make_plan(Request(diameter=17), IMAGE, None).settings.dynamics.niter == 200
    assert make_plan(Request(diameter=60), IMAGE, None).settings.dynamics.niter == 400
    assert make_plan(Request(diameter=60, niter=50), IMAGE, None).settings.dynamics.niter == 50


@pytest.mark.parametrize(
    ("channels", "dtype", "message"),
    [(2, np.float32, "2 channels"), (4, np.uint16, "dtype uint16")],
)
def test_flows_that_are_none(channels: int, dtype: type, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_plan(Request(), None, ArrayVolume(np.zeros((channels, 5, 9, 9), dtype)))


def test_flows_of_another_size_than_the_image() -> None:
    with pytest.raises(InputError, match="same level"):
        make_plan(Request(), IMAGE, ArrayVolume(np.zeros((4, 20, 50, 50), np.float32)))


@pytest.mark.parametrize(
    "wrong",
    [{"block": (0, 8, 8)}, {"block": (8,)}, {"min_size": -1}, {"cellprob_threshold": 99.0}, {"niter": 0},
     {"tile": 100}, {"batch": 0}, {"anisotropy": 0.0}, {"min_size": 9, "max_size": 5}],
)  # fmt: skip
def test_settings_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="wanted"):
        make_plan(Request(**wrong), IMAGE, None)  # type: ignore[arg-type]


def test_the_plan_prints_what_people_ask() -> None:
    text = str(make_plan(Request(diameter=17), IMAGE, None, workers=2))
    for word in ("voxels (z, y, x)", "blocks", "tiles", "memory", "disk", "2 workers", "input voxels per voxel"):
        assert word in text


@pytest.mark.parametrize(
    ("extent", "options", "least"),
    [
        ((8, 40, 40), {}, 129),
        ((8, 40, 40), {"min_size": 15}, 15),
        ((8, 40, 40), {"min_size": 0}, 0),
        ((8, 40, 40), {"max_size": 100}, 100),
        ((8, 40, 40), {"do_3D": False}, 15),
        ((8, 40, 40), {"stitch_threshold": 0.3}, 15),
        ((1, 40, 40), {}, 15),
    ],
)
def test_scraps_of_a_stack_are_a_tenth_of_a_ball_unless_a_size_is_given(
    extent: tuple[int, int, int], options: dict[str, Any], least: int
) -> None:
    image = ArrayVolume(np.zeros((1, *extent), np.uint16), spacing=Spacing(2, 1, 1))
    assert make_plan(Request(diameter=17.0, **options), image, None).settings.sizes.min_size == least


@pytest.mark.parametrize(
    ("extent", "options", "threshold"),
    [
        ((8, 40, 40), {}, 0.4),
        ((8, 40, 40), {"flow_threshold_3d": 0}, 0),
        ((8, 40, 40), {"views": "sum"}, 0),
        ((8, 40, 40), {"do_3D": False}, 0),
    ],
)
def test_objects_of_a_stack_are_checked_against_the_flows_of_a_network(
    extent: tuple[int, int, int], options: dict[str, Any], threshold: float
) -> None:
    image = ArrayVolume(np.zeros((1, *extent), np.uint16))
    assert make_plan(Request(**options), image, None).settings.clean.flow_threshold_3d == threshold
    given = ArrayVolume(np.zeros((4, *extent), np.float32))
    assert make_plan(Request(**options), None, given).settings.clean.flow_threshold_3d == 0
