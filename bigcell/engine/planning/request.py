"""Request: a run as its user asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bigcell.dynamics.settings import Sampling
from bigcell.engine.planning.bad_chunks import OnBadChunk
from bigcell.flows.settings import Choice, Combine
from bigcell.preprocess.normalize import NormalizeSettings
from bigcell.tiling.lattice import Layout


@dataclass(frozen=True)
class Request:
    """A run as asked for; names and meanings are Cellpose's where Cellpose has them.

    `model`: "nuclei", "cyto", the path of a checkpoint, or a published name. `diameter`: typical cell diameter along x,
    in voxels or as "8.5um" (None: the model's own; "auto": found by segmenting samples, see
    `bigcell.engine.pipeline.diameter`).
    `anisotropy`: z over x voxel size (None: from the voxel size). `niter`: most steps a voxel is followed (None: 200,
    more for cells over 30 voxels). `min_size`, `max_size`: voxels of an object (0: no limit; `min_size` None: 15 in
    planes, in a stack a tenth of a ball of the diameter).
    `flow_threshold`: objects of planes whose flow error is higher are removed (0: no check); `flow_threshold_3d`: the
    same for objects of a stack (None: 0.4; of flows that are given or of summed views: no check). `fill_holes`: what an
    object encloses in a plane becomes part of it.
    `sampling`: where flows are sampled, see `bigcell.dynamics.settings.DynamicsSettings`.
    `do_3D`: False segments the planes of a stack each on its own (None: only where they are to be linked).
    `stitch_threshold`: overlap (IoU) from which objects of neighbouring planes are one (0: planes stay apart).
    `normalize`: how intensities become what the network sees.
    `block`: voxels z, y, x of a unit of work. `tile`, `batch`: side of the network's tiles (None: 224, or the model's
    own), and tiles per call; `tile_overlap`, `tile_layout`: how they lie, see `bigcell.tiling.lattice.TileSettings`.
    `views`, `view_weights`, `augment`, `flow3D_smooth`: how outputs become flows, see
    `bigcell.flows.settings.FlowSettings`. `precision`: "auto" takes bfloat16 where this machine computes in it, and is
    settled in the plan. `model_ortho`: a network of its own for the views zx and zy, as in Cellpose 3.1.
    `on_bad_chunk`: chunks of the input that cannot be read end the run ("fail"), or count as empty ("fill").
    """

    model: str = "nuclei"
    diameter: float | str | None = None
    anisotropy: float | None = None
    cellprob_threshold: float = 0.0
    niter: int | None = None
    min_size: int | None = None
    max_size: int = 0
    flow_threshold: float = 0.4
    flow_threshold_3d: float | None = None
    fill_holes: bool = True
    sampling: Sampling = "centre"
    do_3D: bool | None = None  # noqa: N815 - Cellpose's name
    stitch_threshold: float = 0.0
    normalize: NormalizeSettings = field(default_factory=NormalizeSettings)
    block: tuple[int, int, int] | None = None
    tile: int | None = None
    tile_overlap: float | None = None
    tile_layout: Layout = "even"
    batch: int = 8
    views: Combine = "average"
    view_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    augment: bool = False
    flow3D_smooth: float | tuple[float, float, float] = 0.0  # noqa: N815 - Cellpose's word
    precision: Choice = "auto"
    model_ortho: str | None = None
    on_bad_chunk: OnBadChunk = "fail"
