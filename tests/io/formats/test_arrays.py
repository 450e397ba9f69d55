"""Arrays of all kinds as volumes, and the page that lists them, which is made of what happens here."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.sparse
import torch
import zarr

import bigcell
from bigcell.core.arrays import as_array
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import ChunkError, InputError, SettingsError
from bigcell.core.volume import Volume
from bigcell.engine.planning.foreground_mask import open_foreground
from bigcell.evaluation.inputs import open_labels
from bigcell.io.formats.arrays import FLOWS, LazyVolume, as_volume, check_sendable
from bigcell.io.formats.convert import open_pixels

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "arrays.md"
STACK = np.arange(5 * 70 * 60, dtype=np.uint16).reshape(5, 70, 60)
BOX = Box((1, 3, 4), (3, 9, 8))


class Interface:
    """What can only be turned into an array."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.values


class Coordinate(Interface):
    """A coordinate as xarray has it."""

    def __init__(self, values: Any, **attrs: str) -> None:
        super().__init__(np.asarray(values))
        self.attrs = attrs


class Labelled(Interface):
    """An array with named dimensions and coordinates, as xarray has it; `cuts` is what was read of it."""

    def __init__(
        self, values: np.ndarray, dims: tuple[str, ...], coords: Mapping[str, Coordinate] | None = None
    ) -> None:
        super().__init__(values)
        self.dims, self.coords = dims, dict(coords or {})
        self.shape, self.dtype = values.shape, values.dtype
        self.cuts: list[Any] = []

    def __getitem__(self, where: Any) -> np.ndarray:
        self.cuts.append(where)
        return self.values[where]


def zarr_array(values: np.ndarray, **how: Any) -> zarr.Array:
    array = zarr.create_array({}, shape=values.shape, dtype=values.dtype, chunks=(2, 32, 32), **how)
    array[...] = values
    return array


def steps(z: float, y: float, x: float, **attrs: str) -> dict[str, Coordinate]:
    return {a: Coordinate(np.arange(n) * s, **attrs) for a, n, s in zip("zyx", STACK.shape, (z, y, x), strict=True)}


TAKEN: dict[str, Callable[[], Any]] = {
    "NumPy, (z, y, x)": lambda: STACK,
    "NumPy, (y, x)": lambda: STACK[0],
    "NumPy, (channel, z, y, x)": lambda: np.stack([STACK, STACK]),
    "NumPy, the other byte order": lambda: STACK.astype(">u2"),
    "NumPy, other strides (`array.T`, `array[::-1]`), read-only": lambda: np.asfortranarray(STACK)[::-1],
    "NumPy, bool": lambda: STACK > 500,
    "NumPy, float16": lambda: STACK.astype(np.float16),
    "NumPy, 64 bits": lambda: STACK.astype(np.int64),
    "dask": lambda: da.from_array(STACK, chunks=32),
    "zarr": lambda: zarr_array(STACK),
    "zarr 3 with dimension names": lambda: zarr_array(STACK, dimension_names=("z", "y", "x")),
    "zarr 2, big-endian": lambda: zarr_array(STACK.astype(">u2"), zarr_format=2),
    "xarray, coordinates with units": lambda: Labelled(STACK, ("z", "y", "x"), steps(2000, 500, 500, units="nm")),
    "xarray, coordinates without units": lambda: Labelled(STACK, ("z", "y", "x"), steps(2, 0.5, 0.5)),
    "xarray, dims T C Z Y X, named channels": lambda: Labelled(
        STACK[None, None], ("T", "C", "Z", "Y", "X"), {"C": Coordinate(["DAPI"])}
    ),
    "torch, on any device": lambda: torch.from_numpy(STACK.astype(np.float32)).requires_grad_(),
    "nested lists": lambda: STACK.tolist(),
    "anything with `__array__`": lambda: Interface(STACK),
    "NumPy masked, nothing masked": lambda: np.ma.masked_less(STACK, 0),
}
REFUSED: dict[str, Callable[[], Any]] = {
    "RGB, (y, x, 3)": lambda: np.zeros((70, 60, 3), np.uint8),
    "RGBA, (y, x, 4)": lambda: np.zeros((70, 60, 4), np.uint8),
    "one channel last, (y, x, 1)": lambda: np.zeros((70, 60, 1)),
    "channels last, (z, y, x, 2)": lambda: np.zeros((9, 70, 60, 2)),
    "more channels than planes, (9, 2, y, x)": lambda: np.zeros((9, 2, 70, 60)),
    "channels last, dask": lambda: da.zeros((70, 60, 3)),
    "one axis": lambda: STACK.ravel(),
    "five axes without names": lambda: STACK[None, None],
    "dimensions of other names": lambda: Labelled(STACK, ("a", "b", "c")),
    "several time points": lambda: Labelled(STACK, ("t", "y", "x")),
    "coordinates at uneven steps": lambda: Labelled(STACK, ("z", "y", "x"), {"y": Coordinate(np.arange(70) ** 2)}),
    "masked voxels": lambda: np.ma.masked_less(STACK, 5),
    "complex": lambda: STACK.astype(complex),
    "object": lambda: STACK.astype(object),
    "long double": lambda: STACK.astype(np.longdouble),
    "torch bfloat16": lambda: torch.zeros(5, 70, 60, dtype=torch.bfloat16),
    "lists of several lengths": lambda: [[1, 2], [3]],
    "sparse matrix": lambda: scipy.sparse.csr_matrix(STACK[0]),
    "zarr group": lambda: zarr.create_group({}),
    "no array": lambda: {"image": STACK},
    "no voxel": lambda: np.zeros((0, 70, 60)),
}


def described(volume: Volume) -> str:
    """What the page says of an array that is taken."""
    size = " x ".join(map(str, (len(volume.channels), *volume.extent)))
    unit = "µm" if volume.spacing.known else "of unknown unit"
    voxel = "unknown" if volume.spacing == Spacing(known=False) else f"{volume.spacing.zyx} {unit}"
    read = "block by block" if isinstance(volume, LazyVolume) else "in memory"
    return f"{size} | {', '.join(volume.channels)} | {voxel} | {volume.dtype} | {read}"


def refusal(make: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as refused:
        as_volume(make(), coloured=True)
    return re.sub(r" \(.*\);", ";", str(refused.value))  # what other libraries say changes with their versions


def test_the_page_says_what_happens() -> None:
    page = PAGE.read_text()
    rows = [f"| {name} | {described(as_volume(make(), coloured=True))} |" for name, make in TAKEN.items()]
    rows += [f"| {name} | {refusal(make)} |" for name, make in REFUSED.items()]
    assert [row for row in rows if row not in page] == []
    assert len([line for line in page.splitlines() if line.startswith("| ")]) == len(rows) + 4


@pytest.mark.parametrize("name", TAKEN)
def test_voxels_are_those_of_the_array(name: str) -> None:
    array = TAKEN[name]()
    volume = as_volume(array, coloured=True)
    found = volume.read(Box.of(volume.extent))
    plain = np.asarray(array.detach() if hasattr(array, "detach") else array)
    assert np.array_equal(found, plain.reshape(found.shape))
    assert found.dtype == volume.dtype
    assert found.dtype.isnative


@pytest.mark.parametrize("axes", ["zyxc", "zyxs", "xyzc", "cxzy", "yxztc"])
def test_axes_that_are_said_are_believed(axes: str) -> None:
    shape = [{"z": 5, "y": 70, "x": 60, "t": 1}.get(a, 2) for a in axes]
    array = np.arange(np.prod(shape)).reshape(shape)
    wanted = array.transpose([axes.index(a) for a in "tcszyx" if a in axes]).reshape(2, 5, 70, 60)
    for given in (array, da.from_array(array)):
        volume = as_volume(given, axes=axes, coloured=True)
        assert np.array_equal(volume.read(BOX), wanted[(slice(None), *BOX.slices)])


def test_one_block_is_cut_out_of_an_array_that_can_be_cut() -> None:
    array = Labelled(STACK, ("z", "y", "x"))
    volume = as_volume(array)
    array.cuts.clear()
    assert volume.read(BOX).shape == (1, *BOX.shape)
    assert array.cuts == [BOX.slices]


def test_dask_in_a_worker_asks_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def get(graph: Any, keys: Any, **_: Any) -> Any:
        asked.append(keys)
        raise AssertionError

    import dask

    volume = as_volume(da.from_array(STACK) + 1)
    with dask.config.set(scheduler=get):
        with pytest.raises(ChunkError, match="cannot be read"):
            volume.read(BOX)
        monkeypatch.setattr("bigcell.core.arrays.parent_process", lambda: "a driver")
        assert np.array_equal(volume.read(BOX)[0], STACK[BOX.slices] + 1)
    assert len(asked) == 1


def test_a_volume_says_itself_which_axis_is_which() -> None:
    with pytest.raises(SettingsError, match="leave axes out"):
        as_volume(as_volume(STACK), axes="zyx")


def test_planes_that_are_narrow_are_no_colours() -> None:
    assert as_volume(np.zeros((3, 4, 3)), coloured=True).extent == (3, 4, 3)
    assert as_volume(np.zeros((70, 60, 3))).extent == (70, 60, 3)  # labels have no channels
    assert as_volume(np.zeros((70, 60, 3)), axes="zyx").extent == (70, 60, 3)
    assert as_volume(np.zeros((70, 60, 3)), axes="zyx!", coloured=True).extent == (70, 60, 3)


def test_what_cannot_be_sent_is_refused_before_the_run() -> None:
    array = Labelled(STACK, ("z", "y", "x"))
    array.handle = Lock()  # as a file of HDF5 has one
    with pytest.raises(InputError, match="cluster='serial'"):
        check_sendable(as_volume(array))
    check_sendable(as_volume(da.from_array(STACK).map_blocks(lambda block: block)))  # dask's own pickle can


def test_a_lazy_volume_is_read_after_it_was_sent() -> None:
    volume = pickle.loads(pickle.dumps(as_volume(da.from_array(STACK))))
    assert np.array_equal(volume.read(BOX)[0], STACK[BOX.slices])


KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "dask": da.from_array,
    "torch": lambda a: torch.from_numpy(a.astype(np.int32) if a.dtype.kind == "u" else a),
    "list": lambda a: a.tolist(),
    "interface": Interface,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_door_takes_it(kind: str) -> None:
    given = KINDS[kind]
    cell = np.pad(np.ones((16, 16), np.uint16), 4)
    flows = np.concatenate([bigcell.flows_from_labels(given(cell)), [10.0 * cell - 5]]).astype(np.float32)
    assert np.array_equal(flows[:2], bigcell.flows_from_labels(cell))
    assert bigcell.segment(flows=given(flows)).objects == 1
    assert bigcell.masks_from_flows(given(flows[:2]), given(flows[2])).max() == 1
    assert bigcell.link_planes(given(np.stack([cell, cell]))).max() == 1
    assert bigcell.evaluate(given(cell), given(cell)).scores.at[0].f1 == 1
    assert open_labels(given(cell), name=None, time=None, axes=None).dtype.isnative
    mask, _ = open_foreground(given(cell))
    assert isinstance(mask, object)
    assert np.array_equal(mask.read(Box.of(mask.extent))[0, 0], cell)
    (pixels,) = open_pixels(given(cell))
    assert np.array_equal(pixels.read(Box.of(pixels.extent))[0, 0], cell)


def test_flows_of_a_plane_have_three_channels() -> None:
    assert as_volume(da.zeros((3, 70, 60)), usual=FLOWS).extent == (1, 70, 60)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_sees_the_same(kind: str) -> None:
    image = np.random.default_rng(0).integers(100, 120, (40, 40)).astype(np.uint16)
    image[12:28, 12:28] = 1000
    assert np.array_equal(
        bigcell.segment(KINDS[kind](image), diameter=16).labels, bigcell.segment(image, diameter=16).labels
    )


def test_colours_are_segmented_where_they_are_said() -> None:
    image = np.random.default_rng(0).integers(100, 120, (40, 40, 3)).astype(np.uint16)
    image[12:28, 12:28] = 1000
    found = bigcell.segment(image, axes="yxs", channels=["grey"], diameter=16)
    assert found.labels is not None
    assert found.labels.shape == (40, 40)
    with pytest.raises(InputError, match="'yxc'"):
        bigcell.segment(image, diameter=16)


def test_axes_are_not_for_files(tmp_path: Path, store: Callable[..., Path]) -> None:
    path = store(tmp_path / "i.zarr", STACK[None])
    with pytest.raises(SettingsError, match="an OME-Zarr names its own"):
        bigcell.plan(path, axes="zyx")


def test_time_points_of_an_array_are_converted(tmp_path: Path) -> None:
    path = bigcell.convert(da.from_array(np.stack([STACK, STACK + 1])), tmp_path / "a.zarr", axes="tzyx")
    assert bigcell.open_volume(path, time=1).read(BOX)[0, 0, 0, 0] == STACK[1, 3, 4] + 1


def test_labels_of_lazy_arrays_go_to_a_store_too(tmp_path: Path) -> None:
    cell = np.pad(np.ones((16, 16), np.uint16), 4)
    flows = np.concatenate([bigcell.flows_from_labels(cell), [10.0 * cell - 5]]).astype(np.float32)
    named = Labelled(
        flows[:, None], ("c", "z", "y", "x"), {a: Coordinate(np.arange(24) * 0.5, units="um") for a in "yx"}
    )
    result = bigcell.segment(flows=named, output=tmp_path / "l.zarr", cluster="serial", block=(1, 16, 16))
    assert result.objects == 1
    assert bigcell.open_volume(str(result.path)).spacing == Spacing(1.0, 0.5, 0.5)


def test_real_xarray() -> None:
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(STACK, dims=("z", "y", "x"), coords={"x": ("x", np.arange(60) * 0.5, {"units": "um"})})
    assert np.array_equal(as_volume(array).read(BOX)[0], STACK[BOX.slices])


def test_numbers_in_the_machines_order() -> None:
    assert as_array(STACK.astype(">u2")).dtype == np.uint16
    assert as_array(STACK) is STACK
