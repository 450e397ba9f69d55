"""Label stores: pyramids written shard by shard at a hidden place, until `publish` gives them their name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from bigcell.core.axes import ZYX, Spacing, Zyx
from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.core.format import command
from bigcell.core.volume import Array
from bigcell.io.labels import remote_labels
from bigcell.io.labels.destination import LabelTarget, final_path
from bigcell.io.labels.store_metadata import make_root
from bigcell.io.ngff.attributes import multiscale_attributes
from bigcell.io.ngff.image import ZarrVolume
from bigcell.io.ngff.layout import (
    Place,
    axes_metadata,
    base_scale,
    dataset_metadata,
    grid_of,
    make_array,
    reduced_place,
    units_of,
)
from bigcell.io.ngff.metadata import ImageInfo
from bigcell.io.ngff.missing_chunks import OURS
from bigcell.io.ngff.pyramid import level_factors
from bigcell.io.stores.location import group_is_there, open_store
from bigcell.io.stores.remote import explain, is_remote_error
from bigcell.io.stores.staged_folder import remove_tree, unmark
from bigcell.io.stores.urls import is_url

CHUNK: Zyx = (64, 64, 64)
SHARD: Zyx = (256, 256, 256)


@dataclass(frozen=True)
class LabelLevel:
    """One resolution level of labels, sizes along z, y, x. `shard` is what one task writes; `factor` is relative to
    the level before."""

    extent: Zyx
    shard: Zyx
    factor: Zyx
    path: str


@dataclass(frozen=True)
class LabelStore:
    """Labels being built. Picklable: every process opens its arrays itself. Shards may be written in any order, and
    again; two tasks may write at once as long as no shard is both's."""

    target: LabelTarget
    axes: tuple[str, ...]
    levels: tuple[LabelLevel, ...]
    dtype: np.dtype[Any]
    time: int = 0

    def write(self, level: int, box: Box, values: Array) -> None:
        """Put `values` (z, y, x) at `box`, which must be whole shards, clipped at the far edges only."""
        at = self.levels[level]
        whole = all(
            a % n == 0 and (b % n == 0 or b == end)
            for a, b, n, end in zip(box.start, box.stop, at.shard, at.extent, strict=True)
        )
        if not whole or box.is_empty or box not in Box.of(at.extent):
            raise ValueError(f"{box} is not whole shards of {at.shard} in level {level} of extent {at.extent}")
        if values.shape != box.shape or values.dtype != self.dtype:
            raise ValueError(f"{values.dtype} of shape {values.shape} given for {box}, wanted {self.dtype}")
        if not self.target.is_remote and not group_is_there(self.target.group):  # zarr would make the folder
            raise OutputError(
                f"there are no labels being built at {self.target.arrays}; continue with `bigcell resume`"
            )
        try:
            _open_array(self.target.arrays, self.levels[level], self.dtype)[self._where(box)] = self._to_file(values)
        except Exception as error:  # servers refuse with errors of their own
            raise _refusal(error, self.target, "is the disk full?") from error

    def read(self, level: int, box: Box) -> Array:
        """The labels (z, y, x) at `box`, any box inside the level; zero where nothing was written."""
        if box not in Box.of(self.levels[level].extent):
            raise ValueError(f"{box} is outside level {level} of extent {self.levels[level].extent}")
        array = _open_array(self._standing, self.levels[level], self.dtype, writing=False)
        values = np.asarray(array[self._where(box)])
        space = [a for a in self.axes if a in ZYX]
        return np.ascontiguousarray(values.transpose([space.index(a) for a in ZYX if a in space]).reshape(box.shape))

    @property
    def _standing(self) -> str:
        """Where the arrays are now: under construction, or already under their name."""
        target = self.target
        return target.arrays if target.is_remote or group_is_there(target.group) else target.home

    def _where(self, box: Box) -> tuple[slice | int, ...]:
        pick: dict[str, slice | int] = {"t": self.time, **dict(zip(ZYX, box.slices, strict=True))}
        return tuple(pick[a] for a in self.axes)

    def _to_file(self, values: Array) -> Array:
        space = [a for a in self.axes if a in ZYX]
        kept = values if "z" in space else values[0]
        order = [a for a in ZYX if a in space]
        return kept.transpose([order.index(a) for a in space])


@dataclass(frozen=True)
class LabelForm:
    """What labels are like: `extent` along z, y, x, voxel size, integers of `dtype` (uint32 or uint64), and how they
    are cut into files.

    With an `image`, axes (but the channel), units, scales and levels follow it; without one, `spacing` sets them. In
    the image's own store there are as many levels as the image has, as OME-Zarr 0.5 demands, also when a coarser level
    was segmented.
    """

    extent: Zyx
    spacing: Spacing
    image: ZarrVolume | None
    dtype: np.dtype[Any] | type[np.integer[Any]]
    chunk: Zyx = CHUNK
    shard: Zyx = SHARD

    def __post_init__(self) -> None:
        if np.dtype(self.dtype) not in (np.dtype(np.uint32), np.dtype(np.uint64)):
            raise ValueError(f"labels of dtype {self.dtype} asked for, wanted uint32 or uint64")
        if self.image is not None and self.image.extent != tuple(self.extent):
            raise ValueError(f"labels of extent {self.extent} do not fit the image's {self.image.extent}")


def create_labels(target: LabelTarget, form: LabelForm) -> LabelStore:
    """Empty labels at the building place of `target`; whatever an earlier run left there is removed."""
    store, places = _plan(target, form)
    try:
        _clear(target)
        make_root(target)
        _make(store, places, form.image, form.spacing, form.chunk)
    except Exception as error:  # servers refuse with errors of their own
        raise _refusal(error, target, "give another place") from error
    return store


def reopen_labels(target: LabelTarget, form: LabelForm) -> LabelStore:
    """The store that `create_labels` made of the same `form`, with all that was written since: to resume a run."""
    store, _ = _plan(target, form)
    if not group_is_there(target.group) and not group_is_there(target.home):
        raise OutputError(f"there are no labels being built at {target.group}; start the run anew")
    return store


def discard_labels(store: LabelStore) -> None:
    """Remove what was built so far; published labels stay."""
    if store.target.is_remote:
        remote_labels.abandon(store.target.store, store.target.name, store.target.prefix)
    else:
        remove_tree(store.target.building)


def _clear(target: LabelTarget) -> None:
    if target.is_remote:
        remote_labels.begin(target.store, target.name, target.prefix, _zarr_format(target))
    else:
        remove_tree(target.building)
        unmark(final_path(target))


def _refusal(error: Exception, target: LabelTarget, advice: str) -> Exception:
    """`error` as an OutputError, where it came from the disk or a server."""
    if isinstance(error, OutputError):
        return error
    if target.is_remote and is_remote_error(error):
        again = command("resume", target.store, labels=target.name)
        return OutputError(f"{target.arrays} cannot be written: {explain(error)}; then continue with `{again}`")
    if isinstance(error, OSError):
        return OutputError(f"{target.arrays} cannot be written ({error}); {advice}")
    return error


def _plan(target: LabelTarget, form: LabelForm) -> tuple[LabelStore, tuple[Place, ...]]:
    image = form.image
    if image is None:
        # A plane without an image behind it is written as one, so that other programs see two dimensions.
        axes: tuple[str, ...] = ZYX if form.extent[0] > 1 else ("y", "x")
        steps = level_factors(form.extent, form.spacing)
        places = _own_places(axes, form.spacing, steps)
    else:
        axes = tuple(a for a in image.info.axes if a != "c")
        steps, places = _image_places(image, axes, fill=not target.own)
    levels, size, unit = [], form.extent, form.shard
    for number, step in enumerate(steps):
        size = _reduced(size, step)
        # A shard of each level covers a shard of the first, down to one chunk: so one task writes them all.
        unit = _zyx(max(c, -(-s // f)) for c, s, f in zip(form.chunk, unit, step, strict=True))
        written = grid_of(size, form.chunk, unit if target.version != "0.4" else None).shard
        path = f"{target.prefix}/{number}" if target.prefix else str(number)
        levels.append(LabelLevel(size, written, step, path))
    return LabelStore(target, axes, tuple(levels), np.dtype(form.dtype), image.time if image else 0), places


def _own_places(axes: Sequence[str], spacing: Spacing, steps: Sequence[Zyx]) -> tuple[Place, ...]:
    places = [Place(base_scale(axes, spacing), (0.0,) * len(axes))]
    for step in steps[1:]:
        places.append(reduced_place(places[-1], step, axes))
    return tuple(places)


def _image_places(image: ZarrVolume, axes: Sequence[str], *, fill: bool) -> tuple[tuple[Zyx, ...], tuple[Place, ...]]:
    """Factors and places of the label levels below `image`: the image's own wherever its levels are whole steps."""
    known = image.info.levels[image.level :]
    scales = [_along(image.info, level.scale, axes) for level in known]
    moves = [_along(image.info, level.translation, axes) for level in known]
    centred = any(not np.allclose(level.translation, known[0].translation) for level in image.info.levels)
    corner = dict(zip(ZYX, image.offset, strict=True))
    shift = [corner.get(a, 0) * s for a, s in zip(axes, scales[0], strict=True)]
    steps: list[Zyx] = [(1, 1, 1)]
    places = [Place(scales[0], tuple(t + d for t, d in zip(moves[0], shift, strict=True)))]
    for i in range(1, len(known)):
        ratio = dict(
            zip(axes, (max(1, round(b / a)) for a, b in zip(scales[i - 1], scales[i], strict=True)), strict=True)
        )
        steps.append((ratio.get("z", 1), ratio["y"], ratio["x"]))
        place = reduced_place(places[-1], steps[-1], axes, centred=centred)
        if np.allclose(place.scale, scales[i], rtol=1e-6):  # else the image's level is not a whole step: ours is
            place = Place(scales[i], tuple(t + d for t, d in zip(moves[i], shift, strict=True)))
        places.append(place)
    while fill and len(steps) < len(image.info.levels):
        steps.append(steps[-1] if len(steps) > 1 else (1, 2, 2))
        places.append(reduced_place(places[-1], steps[-1], axes, centred=centred))
    return tuple(steps), tuple(places)


def _along(info: ImageInfo, values: Sequence[float], axes: Sequence[str]) -> tuple[float, ...]:
    return tuple(values[info.axes.index(a)] for a in axes)


def _make(store: LabelStore, places: Sequence[Place], image: ZarrVolume | None, spacing: Spacing, chunk: Zyx) -> None:
    target, info = store.target, image.info if image else None
    units = tuple(info.units[info.axes.index(a)] for a in store.axes) if info else units_of(store.axes, spacing)
    multiscale = {
        "name": target.name,
        "axes": axes_metadata(store.axes, units),
        "datasets": [dataset_metadata(lv.path, place) for lv, place in zip(store.levels, places, strict=True)],
        "type": "mode",
        "metadata": {
            "method": "bigcell.io.ngff.pyramid.reduce_labels",
            "description": "most frequent id, ties to the smallest",
        },
    }
    about: dict[str, Any] = {"version": target.version, **_source(target, image)}
    attributes = multiscale_attributes(multiscale, target.version, **{"image-label": about})
    group = open_store(target.group, writing=True)
    zarr.create_group(group, zarr_format=_zarr_format(target), attributes=attributes)
    lengths = {"t": info.length("t", 0)} if info else {}
    for level in store.levels:
        grid = grid_of(level.extent, chunk, level.shard if target.version != "0.4" else None)
        make_array(
            target.arrays,
            level.path,
            grid,
            axes=store.axes,
            lengths=lengths,
            dtype=store.dtype,
            version=target.version,
        )


def _source(target: LabelTarget, image: ZarrVolume | None) -> dict[str, Any]:
    """The image that the labels are of, as a path relative to them; nothing where none can be given."""
    if not target.own:
        return {"source": {"image": "../../"}}
    if image is None or is_url(image.info.source) or target.is_remote:
        return {}
    return {"source": {"image": Path(os.path.relpath(image.info.source, final_path(target))).as_posix()}}


def _zarr_format(target: LabelTarget) -> Any:
    return 3 if target.version != "0.4" else 2


def _reduced(size: Zyx, step: Zyx) -> Zyx:
    return _zyx(-(-n // f) for n, f in zip(size, step, strict=True))


def _zyx(values: Iterable[int]) -> Zyx:
    z, y, x = values
    return (z, y, x)


@lru_cache(maxsize=64)
def _open_array(place: str, level: LabelLevel, dtype: np.dtype[Any], *, writing: bool = True) -> zarr.Array[Any]:
    """One open array a process; level and dtype are in the key, so that a store made anew is opened anew.

    Opened for reading it makes nothing, not even the folder of a store that is elsewhere by now.
    """
    array = zarr.open_array(
        open_store(place, writing=writing),
        path=level.path,
        mode="r+" if writing else "r",
        config=OURS,
    )
    assert array.dtype == dtype
    return array
