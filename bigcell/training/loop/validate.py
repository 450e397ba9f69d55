"""How good a network is on whole labelled planes: the package's own road from an image to masks, and the scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.dynamics.masks import masks_from_flows
from bigcell.flows.from_labels import unit_flows
from bigcell.flows.predict import predict_cube
from bigcell.flows.runner import Runner
from bigcell.metrics.matching import match, overlaps
from bigcell.metrics.scores import THRESHOLDS
from bigcell.networks.recognise import Network, build_network
from bigcell.preprocess.rescale import GridPair, flows_to_image, to_network
from bigcell.tiling.blend import FLOW_BITS, LOGIT_BITS
from bigcell.tiling.lattice import Lattice, TileSettings
from bigcell.training.crops.source import Source, with_channels
from bigcell.training.loop.losses import flow_loss
from bigcell.training.stacks.labelled_planes import Example


@dataclass(frozen=True)
class Found:
    """One plane: the labels that the network leads to, its loss, F1 at IoU 0.5, and average precision at each of
    `THRESHOLDS`."""

    labels: Array = field(repr=False)
    loss: float
    f1: float
    precisions: tuple[float, ...]

    @property
    def ap50(self) -> float:
        return self.precisions[0]


@dataclass(frozen=True)
class Scores:
    """Means over `planes`: the loss, average precision at IoU 0.5 and over 0.5 to 0.95, F1 at 0.5; `each`: the average
    precision at 0.5 of every plane, in the order of the sources."""

    planes: int
    loss: float
    ap50: float
    ap: float
    f1: float
    each: tuple[float, ...] = field(repr=False, default=())


def planes_of(sources: Sequence[Source]) -> Iterator[tuple[str, Example]]:
    """All planes of `sources`, one at a time, each with the name of its source."""
    for source in sources:
        for plane in source.planes():
            yield source.name, plane


def validate(runner: Runner, sources: Sequence[Source]) -> Scores:
    """The scores of the network in `runner` over all planes of `sources`. Only one plane is held at a time."""
    rows = []
    for _, plane in planes_of(sources):
        found = segment_plane(runner, plane)
        rows.append((found.loss, found.ap50, float(np.mean(found.precisions)), found.f1))
    if not rows:
        raise InputError("the validation data hold no labelled plane; give some, or leave validation out")
    loss, ap50, ap, f1 = (float(v) for v in np.mean(rows, axis=0))
    return Scores(len(rows), loss, ap50, ap, f1, tuple(row[1] for row in rows))


def segment_plane(runner: Runner, plane: Example) -> Found:
    """Run the network over `plane`, scaled so that its cells have the diameter that the network knows, and compare."""
    output = predict_plane(runner, plane.image, plane.diameter)
    niter = max(200, round(200 * plane.diameter / 30))
    labels = masks_from_flows(output[:2], output[2], niter=niter)
    shared = overlaps(plane.labels, labels)
    matched = [match(shared, threshold=t) for t in THRESHOLDS]
    loss = flow_loss(*(torch.from_numpy(part)[None] for part in (output, *_targets(plane.labels))))
    return Found(labels, float(loss), matched[0].f1, tuple(m.average_precision for m in matched))


def _targets(labels: Array) -> tuple[Array, Array]:
    return unit_flows(labels[None])[1:, 0].copy(), (labels > 0).astype(np.float32)


def predict_plane(runner: Runner, image: Array, diameter: float) -> Array:
    """Flow along y and x (five times unit length) and logit at the pixels of `image`: float32 ``(3, y, x)``.

    `image` is normalised float32 ``(channels, y, x)`` with cells of `diameter` pixels. Resampling, tiles, blending and
    integers are those of a run of the engine.
    """
    network: Network = runner.network
    extent = (1, *image.shape[1:])
    factor = float(network.diam_mean) / diameter
    grids = GridPair.scaled(extent, (1.0, factor, factor))
    whole, small = Box.of(extent), Box.of(grids.network)
    seen = to_network(with_channels(image, network.channels)[:, None], whole, small, grids)
    fixed = network.tile
    lattice = Lattice(grids.network, TileSettings(fixed, fixed=True) if fixed else TileSettings())
    total = np.zeros((4, *grids.network), np.int16)
    for cube in range(len(lattice.cubes)):
        part = (slice(None), *lattice.footprint(cube).slices)
        total[part] += predict_cube(runner, seen[part], lattice, cube)
    flows = flows_to_image(total, small, whole, grids)[1:, 0].astype(np.float32)
    flows[:2] *= np.float32(5 / (1 << FLOW_BITS))
    flows[2] /= np.float32(1 << LOGIT_BITS)
    return flows


def runner_of(state: Mapping[str, Tensor], device: torch.device) -> Runner:
    """What runs the network whose weights `state` holds, in float32."""
    network = build_network({name: value.detach().cpu() for name, value in state.items()})
    return Runner(network, device=device)
