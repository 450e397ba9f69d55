"""The typical cell diameter of an image, found by segmenting samples of it: what `diameter="auto"` asks for.

A few planes with much contrast are cut out at places fixed by the image's extent, and segmented each on its own; the
diameter is the median over their cells, each as wide as a disc of its area (Cellpose's `diameters`). As cells are found
best at about their right size, this is done again with what came out. A pure function of the image, the model and the
settings: blocks and workers have no part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array, ArrayVolume, Volume
from bigcell.engine.pipeline.in_memory import segment_in_memory
from bigcell.engine.pipeline.segment import measure
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.engine.tasks.intensity import network_image
from bigcell.engine.tasks.job import Job
from bigcell.io.scratch import MemoryScratch

Segment = Callable[[ArrayVolume, float], Array]
"""Labels (n, y, x) of the planes of a volume, each with ids of its own, for cells of a diameter in voxels."""
Guess = Callable[[ArrayVolume], float]
"""The diameter in planes, from a size model."""

PLANES = 4
"""Planes that are segmented."""
ACROSS = 12
"""Cells across a plane."""
SMALLEST = 96
"""Voxels across a plane, at least where the image has them."""
TRIALS = (1.0, 2.5, 6.0)
"""Times the model's diameter: what is tried first. Smaller cells are found at 1, or would be too small to see."""
TURNS = 3
"""Segmentations after the trials, at most: two that agree within `CLOSE` end it."""
CLOSE = 0.05


@dataclass(frozen=True)
class Estimate:
    """A `diameter` in voxels along x, and a sentence about how it was `found`."""

    diameter: float
    found: str


@dataclass(frozen=True)
class _Look:
    """The cells of the sampled planes when they are taken to be `trial` voxels wide: diameters, and the area of all."""

    trial: float
    planes: tuple[int, ...]
    sizes: Array = field(repr=False)
    area: int = 0

    @property
    def median(self) -> float:
        return round(float(np.median(self.sizes)), 2)


def plan_request(request: Request, image: Volume | None, given: Volume | None) -> Plan:
    """As `make_plan`; a diameter of "auto" is found first, once all else that is asked for was checked."""
    if request.diameter != "auto" or image is None or given is not None:
        return make_plan(request, image, given)
    from bigcell.networks.registry import load_model  # torch only where a network is asked for

    make_plan(replace(request, diameter=None), image, None)
    estimate = estimate_for(request, image, load_model(request.model))
    plan = make_plan(replace(request, diameter=estimate.diameter), image, None)
    return replace(plan, notes=(estimate.found, *plan.notes))


def estimate_for(request: Request, image: Volume, model: Any) -> Estimate:
    """The diameter for running `request`, whose model is `model`, on `image`.

    The search begins at what the model's size model says, if it has one (Cellpose 1 to 3 do).
    """
    from bigcell.flows.runner import settle_precision  # torch only where a network is asked for
    from bigcell.networks.registry import load_size_model
    from bigcell.networks.size import estimate_diameter

    precision, _ = settle_precision(request.precision, model, request.tile or model.tile or 224)
    by_plane = replace(request, do_3D=False, stitch_threshold=0.0, block=None, model_ortho=None, precision=precision)

    def planned(planes: ArrayVolume, diameter: float) -> Plan:
        plan = make_plan(replace(by_plane, diameter=diameter), planes, None)
        return replace(plan, settings=replace(plan.settings, normalize=request.normalize))  # one black for all planes

    def segment(planes: ArrayVolume, diameter: float) -> Array:
        labels = segment_in_memory(planned(planes, diameter), planes, None).labels
        assert labels is not None
        return labels

    size_model = load_size_model(request.model)

    def guess(planes: ArrayVolume) -> float:
        from bigcell.flows.style import plane_styles

        assert size_model is not None
        plan = planned(planes, float(model.network.diam_labels))
        run = Run(Job(plan, planes, None, MemoryScratch()))
        measure(run)
        seen = network_image(run.job, Box.of(plan.grids.network))
        return estimate_diameter(size_model, plane_styles(model.network, seen))

    return find_diameter(image, model.diameter, segment, guess if size_model is not None else None)


def find_diameter(image: Volume, start: float, segment: Segment, guess: Guess | None = None) -> Estimate:
    """The typical diameter of the cells of `image` in voxels along x, for a model that knows cells of `start` voxels.

    With a `guess` the search begins there, else at whatever of a few sizes makes most of the planes cells. Raises
    InputError if no cell is found, unless there is nothing in the image at all.
    """
    if guess is None:
        reach = max(image.extent[1:])
        trials = [start * t for t in TRIALS if t == 1 or 2 * start * t <= reach]
    else:
        trials = [guess(sample_planes(image, start))]
    looks = [_look(image, trial, segment) for trial in trials]
    best = max(looks, key=lambda look: look.area)  # of equal ones the first
    if not best.area and _is_blank(image, start):
        return Estimate(start, f"diameter {start:g} voxels, the model's own: the planes looked at show nothing")
    if not best.area:
        tried = ", ".join(f"{t:g}" for t in trials)
        raise InputError(
            f"no cell was found in {best.planes[0]} sampled planes, for diameters of {tried} voxels: "
            "give the diameter, as in --diameter 17"
        )
    for _ in range(TURNS):
        if abs(best.median / best.trial - 1) <= CLOSE:
            break
        again = _look(image, best.median, segment)
        if not again.area:
            break
        best = again
    count, height, width = best.planes
    return Estimate(
        best.median,
        f"diameter {best.median:g} voxels: the median of {len(best.sizes)} cells in {count} planes of "
        f"{height} x {width} voxels{'' if guess is None else ', begun at what the size model said'}",
    )


def sample_planes(image: Volume, diameter: float) -> ArrayVolume:
    """Planes of `image`, cut to about `ACROSS` cells of `diameter`, as a volume (channel, n, y, x).

    Of 27 places spread over the image the `PLANES` are taken whose first channel varies most.
    """
    side = max(SMALLEST, round(ACROSS * diameter))
    z, y, x = image.extent
    shape = (1, min(y, side), min(x, side))
    places = [_starts(n, m) for n, m in zip((z, y, x), shape, strict=True)]
    boxes = [Box(p, tuple(a + n for a, n in zip(p, shape, strict=True))) for p in product(*places)]
    contrast = [-float(image.read(box)[0].std(dtype=np.float64)) for box in boxes]
    chosen = sorted(np.argsort(contrast, kind="stable")[:PLANES])
    planes = np.concatenate([image.read(boxes[i]) for i in chosen], axis=1)
    return ArrayVolume(planes, image.spacing, image.channels)


def _is_blank(image: Volume, diameter: float) -> bool:
    """Whether the planes that vary most show nothing."""
    planes = sample_planes(image, diameter).array
    return bool((planes == planes[:, :1, :1, :1]).all())


def _starts(length: int, size: int) -> list[int]:
    """Up to three starts that spread pieces of `size` over an axis; planes lie inside, not at its ends."""
    if size == 1:
        return sorted({(2 * i + 1) * length // 6 for i in range(3)})
    return sorted({round((length - size) * i / 2) for i in range(3)})


def _look(image: Volume, trial: float, segment: Segment) -> _Look:
    planes = sample_planes(image, trial)
    labels = segment(planes, trial)
    area = np.bincount(labels.ravel().astype(np.int64))
    area[0] = 0
    whole = area.copy()
    whole[np.unique(np.concatenate([labels[:, (0, -1)].ravel(), labels[..., (0, -1)].ravel()]))] = 0
    counted = whole if np.count_nonzero(whole) >= 5 else area  # cells that the edge cuts would seem small
    sizes = 2 * np.sqrt(counted[counted > 0] / np.pi)
    return _Look(trial, planes.extent, sizes, int(area.sum()))
