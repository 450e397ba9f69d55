"""The options of a run by name and type, as Python callers give them and the command line passes them on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from bigcell.core.box import Box
from bigcell.io.formats.arrays import ArraySource

Source = str | Path | ArraySource


class MaskOptions(TypedDict, total=False):
    """What decides how flows become labels; see `bigcell.engine.planning.request.Request`."""

    cellprob_threshold: float
    niter: int | None
    min_size: int | None
    max_size: int
    flow_threshold: float
    flow_threshold_3d: float | None
    fill_holes: bool
    sampling: Literal["centre", "cellpose"]
    do_3D: bool | None
    stitch_threshold: float
    block: Sequence[int] | None
    on_bad_chunk: Literal["fail", "fill"]


class IntensityOptions(TypedDict, total=False):
    """How intensities become what the network sees; see `bigcell.preprocess.normalize.NormalizeSettings`.

    `normalize` may also be a dictionary of the others, as Cellpose takes them.
    """

    normalize: bool | Mapping[str, Any]
    lowhigh: Sequence[float] | Sequence[Sequence[float]] | None
    percentile: tuple[float, float]
    norm3D: bool
    invert: bool
    sharpen_radius: float
    smooth_radius: float
    tile_norm_blocksize: int
    tile_norm_smooth3D: float
    fill_nan: float | None


class FlowOptions(TypedDict, total=False):
    """How the network sees the image, and how its outputs become flows; see `bigcell.engine.planning.request`."""

    tile: int | None
    tile_overlap: float | None
    tile_layout: Literal["even", "cellpose"]
    batch: int
    views: Literal["average", "sum"]
    view_weights: Sequence[float]
    augment: bool
    flow3D_smooth: float | Sequence[float]
    precision: Literal["auto", "float32", "bfloat16"]
    model_ortho: str | Path | None


class Options(MaskOptions, IntensityOptions, FlowOptions, total=False):
    """What `plan` and `segment` take besides the image. All are optional; names are Cellpose's where it has them.

    `level`, `channels`, `time`, `region`: which part of an OME-Zarr image; see `open_volume`.
    Channels ``["grey"]``: the mean of all.
    `axes`: which axis of an array is which, a letter each, as in "zyxc" (t time, c channel, z, y, x, s colour samples).
    `foreground`: where there may be cells; blocks that have to do with nothing of it are skipped. A mask (not zero
    there) of any resolution, an OME-Zarr (path) or array over the field of the image; or an intensity, above which,
    and a diameter around, there may be some. All that is said of the image (percentiles) is said of the foreground.
    `flows`: an OME-Zarr (path) or array (4, z, y, x) of dz, dy, dx (five times unit length) and cell probability
    (logit), used instead of a network; flows of a plane may be (3, y, x): dy, dx and cell probability.
    The others are those of `bigcell.engine.planning.request.Request`.
    """

    level: int
    channels: Sequence[int | str] | None
    time: int
    region: Box | None
    axes: str | None
    foreground: Source | float | None
    flows: Source | None
    model: str | Path
    diameter: float | str | None
    anisotropy: float | None
