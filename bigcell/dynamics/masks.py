"""Flows in memory to labels in one go: what the engine does block by block, on whole arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike

from bigcell.core.arrays import as_array
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.relabel import renumber_into
from bigcell.core.volume import Array
from bigcell.dynamics.backend import choose_follow
from bigcell.dynamics.clean import enclosed_planes
from bigcell.dynamics.follow import flow_array
from bigcell.dynamics.settings import DynamicsSettings, Sampling
from bigcell.dynamics.sinks import find_seeds, territories
from bigcell.dynamics.window import logit_threshold
from bigcell.flows.compare import flow_errors
from bigcell.flows.heat_diffusion import survey
from bigcell.stitch.clean import CLEAN_LIMIT, CleanSettings, claims, is_whole
from bigcell.stitch.number import SizeSettings
from bigcell.tiling.blend import FLOW_BITS, FLOW_LIMIT, LOGIT_BITS, LOGIT_LIMIT


@dataclass(frozen=True)
class MaskSettings:
    """All that decides which masks a flow field has."""

    dynamics: DynamicsSettings = field(default_factory=DynamicsSettings)
    sizes: SizeSettings = field(default_factory=SizeSettings)
    clean: CleanSettings = field(default_factory=CleanSettings)

    def is_solid(self, planes: int) -> bool:
        """Whether objects are those of a stack of so many planes, and not of its planes."""
        return planes > 1 and not self.dynamics.planar

    def threshold(self, planes: int) -> float:
        """The flow error above which objects are dropped, in a stack of so many planes; 0 for no check."""
        return self.clean.flow_threshold_3d if self.is_solid(planes) else self.clean.flow_threshold


def masks_from_flows(
    flows: ArrayLike,
    cellprob: ArrayLike,
    *,
    niter: int = 200,
    cellprob_threshold: float = 0.0,
    flow_threshold: float = 0.4,
    flow_threshold_3d: float = 0.0,
    min_size: int = 15,
    max_size: int = 0,
    fill_holes: bool = True,
    sampling: Sampling = "centre",
) -> Array:
    """Segment flows and cell probabilities in memory, in Cellpose's convention.

    Voxels above `cellprob_threshold` are followed; those that meet are an object. The labels are those that
    ``bigcell.segment(flows=...)`` gives. Paths are followed on a CUDA device where there is one.

    Parameters
    ----------
    flows
        ``(d, *space)``: components along the last d axes of space, five times unit length. Space is (y, x) or (z, y,
        x). Two components over (z, y, x) segment a stack plane by plane, each on its own.
    cellprob
        ``(*space)``: logits.
    niter
        The most steps along a path.
    cellprob_threshold
        Voxels above it are in cells.
    flow_threshold
        Objects of planes whose flow error is above it are dropped; 0 for no check.
    flow_threshold_3d
        The same for objects in 3-D that the faces of the volume do not cut.
    min_size, max_size
        Voxels: objects of fewer or more are dropped. A `max_size` of 0 is no limit.
    fill_holes
        What an object encloses in a plane becomes part of it.
    sampling
        "cellpose" samples flows where Cellpose does, half a voxel off towards the borders, instead of at voxel centres.

    Returns
    -------
    Array
        Labels, uint32 ``(*space)``, numbered 1..n.

    Examples
    --------
    >>> flows, cellprob = np.zeros((2, 24, 24)), np.full((24, 24), -5.0)
    >>> cellprob[4:20, 4:20] = 5
    >>> flows[:] = 5 * np.sign(11.5 - np.indices((24, 24)))  # towards the middle of the square
    >>> np.unique(masks_from_flows(flows, cellprob, flow_threshold=0), return_counts=True)
    (array([0, 1], dtype=uint32), array([320, 256]))
    """
    flows, cellprob = as_array(flows), as_array(cellprob)
    _check(flows, cellprob)
    planar = len(flows) < cellprob.ndim
    settings = MaskSettings(
        DynamicsSettings(cellprob_threshold, niter, sampling=sampling, planar=planar),
        SizeSettings(min_size, max_size),
        CleanSettings(fill_holes, flow_threshold, flow_threshold_3d),
    )
    space = (1,) * (3 - cellprob.ndim) + cellprob.shape
    flow: Array | None
    flow, mask = _integers(flows.reshape(len(flows), *space), cellprob.reshape(space), settings.dynamics)
    ends = _ends(flow, mask, settings.dynamics)
    del mask
    if not settings.threshold(space[0]):
        flow = None  # the largest thing here, and nobody asks for it again
    return clean_labels(_labels(ends, settings.dynamics), flow, settings).reshape(cellprob.shape)


def _ends(flow: Array, mask: Array, settings: DynamicsSettings) -> Array:
    """Where each voxel's path ends, as a raster position (z, y, x); below 0 for the background."""
    whole = Box.of(mask.shape)
    return choose_follow().core(flow, mask, whole, whole, mask.shape, settings)[0]


def _labels(ends: Array, settings: DynamicsSettings) -> Array:
    """Labels uint32 (z, y, x) of all objects, in raster order of their sinks, before any is dropped, of voxels by where
    they end (no sink: 0). They take the place of `ends`."""
    counts = np.zeros(ends.shape, np.int32)
    _count(ends, counts.reshape(-1))
    owner = territories(counts, find_seeds(counts, settings), settings)
    del counts
    labels: Array = ends if ends.dtype == np.int32 else np.empty(ends.shape, np.int32)
    _own(ends, owner.reshape(-1), labels)
    return labels.view(np.uint32)


def clean_labels(labels: Array, flow: Array | None, settings: MaskSettings) -> Array:
    """`labels` uint32 (z, y, x), changed in place: sizes, then flow errors, then holes; what stays is numbered 1..n.

    `flow` may be None where errors are not asked for.
    """
    table = survey(labels)
    voxels = table[:, 9]
    keep = voxels >= max(settings.sizes.min_size, 1)
    if settings.sizes.max_size:
        keep &= voxels <= settings.sizes.max_size
    keep[0] = False
    threshold = settings.threshold(len(labels))
    if threshold and flow is not None:
        chosen = keep & (_area(table, 0) <= CLEAN_LIMIT)
        if settings.is_solid(len(labels)):
            chosen &= is_whole(table[:, :3], table[:, 3:6], labels.shape)
        errors = flow_errors(labels, flow, table * chosen[:, None])
        keep[1:] &= ~(errors > threshold)
    renumber_into(labels, labels, (np.cumsum(keep) * keep).astype(np.uint32))
    if settings.clean.fill_holes:
        kept = table[keep]
        _fill(labels, kept * (_area(kept, 1) <= CLEAN_LIMIT)[:, None])
    return labels


def _check(flows: Array, cellprob: Array) -> None:
    d = cellprob.ndim
    fits = d in (2, 3) and flows.shape[1:] == cellprob.shape and flows.shape[:1] in ((2,), (d,))
    if not fits or cellprob.size == 0:
        raise InputError(
            f"found flows of shape {flows.shape} and cell probabilities of shape {cellprob.shape}; wanted (2, y, x) "
            "with (y, x), or (3, z, y, x), or (2, z, y, x) for planes one by one, with (z, y, x)"
        )
    if flows.dtype.kind != "f" or cellprob.dtype.kind != "f":
        raise InputError(
            f"found flows {flows.dtype} and cell probabilities {cellprob.dtype}; wanted floats: flows five times unit "
            "length and logits, as Cellpose has them"
        )


def _integers(flows: Array, cellprob: Array, settings: DynamicsSettings) -> tuple[Array, Array]:
    """Flow int16 (3, z, y, x), zero in the background, and foreground (z, y, x): as `integer_flow`, in one pass."""
    flow = np.zeros((3, *cellprob.shape), np.int16) if settings.planar else flow_array((3, *cellprob.shape))
    mask = np.empty(cellprob.shape, bool)
    scale = np.array([[FLOW_LIMIT, 1 << FLOW_BITS], [LOGIT_LIMIT, 1 << LOGIT_BITS]], np.float32)
    given = np.ascontiguousarray(flows, np.float32), np.ascontiguousarray(cellprob, np.float32)
    if not _integers_into(*given, scale, logit_threshold(settings), flow, mask):
        every = np.concatenate([flows, cellprob[None]])
        bad = np.argwhere(~np.isfinite(every))[0].tolist()
        raise InputError(
            f"the {'cell probability' if bad[0] == len(flows) else 'flow'} at (z, y, x) = {tuple(bad[1:])} is not "
            "finite; wanted finite numbers everywhere: mend the flows"
        )
    return flow, mask


def _area(table: Array, first_axis: int) -> Array:
    """Voxels of the box of each row of a survey, over the axes from `first_axis` on."""
    area: Array = np.prod(table[:, 3 + first_axis : 6] - table[:, first_axis:3], axis=1)
    return area


def _fill(labels: Array, table: Array) -> None:
    """Give objects 1..n, the rows of `table`, the holes that are theirs. All are decided before any is filled."""
    kinds = _holes_of(labels, table)
    shared = []
    for i in np.flatnonzero(kinds == _SHARED):
        low, high = table[i, :3], table[i, 3:6]
        crop = labels[tuple(map(slice, low, high))]
        holes = enclosed_planes(crop == i + 1)
        for z in np.flatnonzero(holes.any((1, 2))):
            shared.append((i + 1, z + low[0], np.argwhere(claims(crop[z], int(i) + 1, holes[z])) + low[1:]))
    _fill_empty(labels, table, kinds)
    for name, z, place in shared:
        labels[z][tuple(place.T)] = name


@njit(cache=True, nogil=True, parallel=True)
def _integers_into(flows, cellprob, scale, least, flow, mask):  # type: ignore[no-untyped-def]
    """Whether all is finite. `scale`: limit and scale of flows and of logits."""
    rows, first, bad = cellprob.shape[1], 3 - len(flows), 0
    for r in prange(cellprob.shape[0] * rows):
        z, y = r // rows, r % rows
        for x in range(cellprob.shape[2]):
            v = cellprob[z, y, x]
            bad += not np.isfinite(v)
            v = min(max(v, -scale[1, 0]), scale[1, 0]) * scale[1, 1]
            mask[z, y, x] = np.rint(v) > least
        for c in range(len(flows)):
            for x in range(cellprob.shape[2]):
                v = flows[c, z, y, x] / np.float32(5.0)
                bad += not np.isfinite(v)
                v = np.rint(min(max(v, -scale[0, 0]), scale[0, 0]) * scale[0, 1])
                flow[first + c, z, y, x] = np.int16(v) if mask[z, y, x] else 0
    return bad == 0


@njit(cache=True, nogil=True)
def _count(ends, counts):  # type: ignore[no-untyped-def]
    for end in ends.flat:
        if end >= 0:
            counts[end] += 1


@njit(cache=True, nogil=True, parallel=True)
def _own(ends, owner, out):  # type: ignore[no-untyped-def]
    """Into `out`, which may be `ends` itself, the owner of the place where each voxel ends; 0 in the background."""
    rows = ends.shape[1]
    for r in prange(ends.shape[0] * rows):
        a, b = r // rows, r % rows
        for c in range(ends.shape[2]):
            end = ends[a, b, c]
            out[a, b, c] = owner[end] if end >= 0 else 0


_NONE, _EMPTY, _SHARED = 0, 1, 2


@njit(cache=True, nogil=True, parallel=True)
def _holes_of(labels, table):  # type: ignore[no-untyped-def]
    """What each object of a survey encloses in its planes: nothing, free voxels alone, or other objects too."""
    kinds = np.zeros(len(table), np.uint8)
    for i in prange(len(table)):
        row = table[i]
        if row[9] > 0:
            crop = labels[row[0] : row[3], row[1] : row[4], row[2] : row[5]]
            own = crop == i + 1
            kinds[i] = _kind_of(crop, enclosed_planes(own))
    return kinds


@njit(cache=True, nogil=True)
def _kind_of(labels, holes):  # type: ignore[no-untyped-def]
    kind = _NONE
    for z in range(holes.shape[0]):
        for y in range(holes.shape[1]):
            for x in range(holes.shape[2]):
                if holes[z, y, x]:
                    if labels[z, y, x] > 0:
                        return _SHARED
                    kind = _EMPTY
    return kind


@njit(cache=True, nogil=True, parallel=True)
def _fill_empty(labels, table, kinds):  # type: ignore[no-untyped-def]
    """Fill holes that hold no other object: whatever encloses these objects in turn leaves their holes to them."""
    for i in prange(len(table)):
        if kinds[i] != _EMPTY:
            continue
        row = table[i]
        crop = labels[row[0] : row[3], row[1] : row[4], row[2] : row[5]]
        holes = enclosed_planes(crop == i + 1)
        for z in range(holes.shape[0]):
            for y in range(holes.shape[1]):
                for x in range(holes.shape[2]):
                    if holes[z, y, x]:
                        crop[z, y, x] = i + 1
