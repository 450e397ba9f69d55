"""One window, plainly: flows to sink-named labels. What the blockwise road must equal, and the oracle of its tests."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.follow import Particles, follow, foreground_flow
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.dynamics.sinks import EndHistogram, map_sinks
from bigcell.tiling.blend import FLOW_BITS, FLOW_LIMIT, LOGIT_BITS, LOGIT_LIMIT, quantise

WINDOW_HALO = 8
"""A window of a whole must reach 2R + this beyond the voxels it labels, R being the longest path radius."""


def logit_threshold(settings: DynamicsSettings) -> int:
    """`cellprob_threshold` on the integer scale of stored logits."""
    return int(np.floor(settings.cellprob_threshold * (1 << LOGIT_BITS)))


def integer_flow(component: Array) -> Array:
    """One component of flows as networks give them (five times unit length) as int16."""
    return quantise(component.astype(np.float32) / np.float32(5), FLOW_BITS, FLOW_LIMIT)


def integer_logit(logit: Array) -> Array:
    """Cell-probability logits as int16."""
    return quantise(logit.astype(np.float32), LOGIT_BITS, LOGIT_LIMIT)


def integer_flows(flows: Array) -> Array:
    """Flows as networks give them (4, z, y, x) float: dz, dy, dx five times unit length, then the logit; as int16."""
    return np.stack([*(integer_flow(component) for component in flows[:3]), integer_logit(flows[3])])


def integer_flows_into(flows: Array, out: Array) -> bool:
    """As `integer_flows`, into `out` (channels, z, y, x) int16: the logit is the last channel. False if a value is not
    finite (`out` is then of no use)."""
    limits = np.array([FLOW_LIMIT, LOGIT_LIMIT], np.float32)
    scales = np.array([1 << FLOW_BITS, 1 << LOGIT_BITS], np.float32)
    good: bool = _integers_into(np.asarray(flows, np.float32), limits, scales, out)
    return good


@njit(cache=True, nogil=True, parallel=True)
def _integers_into(flows, limits, scales, out):  # type: ignore[no-untyped-def]
    C, Z, Y, X = flows.shape  # noqa: N806
    bad = 0
    for row in prange(C * Z):
        c, z = row // Z, row % Z
        logit = 1 if c == C - 1 else 0
        unit, limit, scale = np.float32(1.0 if logit else 5.0), limits[logit], scales[logit]
        for y in range(Y):
            for x in range(X):
                v = flows[c, z, y, x]
                bad += not np.isfinite(v)
                v = min(max(v / unit, -limit), limit) * scale
                out[c, z, y, x] = np.int16(np.rint(v))
    return bad == 0


def label_window(flows: Array, window: Box, extent: tuple[int, ...], settings: DynamicsSettings) -> Array:
    """Sink-named labels (uint64) of a window of integer `flows` (4, *window) that lies in a volume of `extent`.

    Paths that leave the window stop at its edge and are not counted: labels are those of the whole volume only where
    the window reaches 2R + `WINDOW_HALO` further.
    """
    mask, flow = foreground_flow(flows, logit_threshold(settings))
    start = np.argwhere(mask) + np.array(window.start)
    done, escaped = follow(flow, window, extent, Particles.at(start), settings)
    ends = np.ravel_multi_index(tuple(done.landed(settings.sampling)[~escaped].T), extent)
    sinks = map_sinks(EndHistogram.of(ends), window, extent, settings)
    names = np.zeros(len(start), np.int64)
    names[~escaped] = sinks.of(ends)
    labels = np.zeros(window.shape, np.uint64)
    labels[mask] = names
    return labels
