"""Plan: what would be done and what it would cost, as data. Printable, JSON, and what resume reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

from bigcell.core.axes import Spacing, Zyx
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.format import duration, shape, size
from bigcell.core.settings import from_document
from bigcell.engine.planning.budget import Budget
from bigcell.engine.planning.foreground_note import ForegroundNote
from bigcell.engine.planning.limits import check_counts
from bigcell.engine.planning.settings import RunSettings
from bigcell.flows.settings import NetworkCost
from bigcell.preprocess.channels import GREY
from bigcell.preprocess.normalize import describe
from bigcell.preprocess.rescale import GridPair
from bigcell.provenance.fingerprint import fingerprint
from bigcell.tiling.grid import BlockGrid
from bigcell.tiling.lattice import Lattice

MAX_VOXELS = 2**62

ENGINE = 3
"""Version of the algorithm, and of what a run leaves on the way: its stages and their entries."""
SAME_LABELS = {2}
"""Earlier versions whose labels are the same, although their runs cannot be taken up."""


@dataclass(frozen=True)
class Plan:
    """One run over one volume, as data: what would be done and what it would cost.

    Printing it gives a table. It can be written as JSON and read again; a run of it gives the same labels.

    Parameters
    ----------
    extent
        Voxels along (z, y, x).
    spacing
        Size of a voxel.
    channels
        Names of the channels that are used.
    dtype
        That of the image.
    settings
        All settings of the run, with defaults filled in.
    model
        Name or path of the network; empty when flows come from elsewhere.
    model_sha256
        What its file is known by.
    model_diameter
        Size of a cell on the network's grid, in voxels.
    model_kind
        The family that the checkpoint was recognised as.
    model_ortho
        The network of the views zx and zy; empty for one that sees all.
    model_ortho_sha256
        What its file is known by.
    notes
        Sentences for the user about what was decided on the way here.
    network
        What a network takes of a worker's memory.
    image, flows
        What identifies the inputs.
    keep_flows
        Whether the flows of the network are kept.
    engine
        Version of the algorithm: runs of different versions are not mixed.
    foreground
        Where there may be cells; None for everywhere.
    budget
        Memory, disk and time, once they are worked out; None before.
    """

    extent: Zyx
    spacing: Spacing
    channels: tuple[str, ...]
    dtype: str
    settings: RunSettings
    model: str = ""
    model_sha256: str = ""
    model_diameter: float = 0.0
    model_kind: str = ""
    model_ortho: str = ""
    model_ortho_sha256: str = ""
    notes: tuple[str, ...] = ()
    network: NetworkCost = field(default_factory=NetworkCost)
    image: dict[str, Any] = field(default_factory=dict)
    flows: dict[str, Any] = field(default_factory=dict)
    keep_flows: bool = False
    engine: int = ENGINE
    foreground: ForegroundNote | None = None
    budget: Budget | None = None

    def __post_init__(self) -> None:
        z, y, x = self.extent
        if min(self.extent) < 1:
            raise InputError(f"the volume has extent {self.extent}, so it holds no voxel; choose a region with some")
        if z * y * x > MAX_VOXELS:
            raise InputError(f"the volume has {z * y * x:.3g} voxels; at most {MAX_VOXELS:.3g} can be numbered")
        if self.model and self.settings.diameter is None:
            raise SettingsError("a plan with a model needs a diameter; give the typical cell diameter in voxels")
        check_counts(self.grid, self.lattice if self.model else None)

    @cached_property
    def grid(self) -> BlockGrid:
        """The blocks of work."""
        block = tuple(min(b, n) for b, n in zip(self.settings.block, self.extent, strict=True))
        return BlockGrid(self.extent, block)

    @cached_property
    def grids(self) -> GridPair:
        """The volume's grid and the network's."""
        if not self.model or self.settings.diameter is None:
            return GridPair(self.extent, self.extent)
        x = self.model_diameter / self.settings.diameter
        z = 1.0 if self.is_planar else x * self.settings.anisotropy
        factors = (z, x * self.spacing.over_x("y"), x)
        plain = self.settings.tiles.layout == "cellpose"
        return GridPair.scaled(self.extent, factors, plain=plain, planar=self.is_planar)

    @cached_property
    def lattice(self) -> Lattice:
        """The network's tiles."""
        return Lattice(self.grids.network, self.settings.tiles, (0,) if self.is_planar else self.settings.flows.shown)

    @property
    def seen_channels(self) -> tuple[str, ...]:
        """The channels that are normalised, by name."""
        return (GREY,) if self.settings.normalize.grey else self.channels

    @property
    def is_flat(self) -> bool:
        """Whether the volume is a single plane."""
        return self.extent[0] == 1

    @property
    def is_planar(self) -> bool:
        """Whether the planes of a stack are segmented each on its own."""
        return self.settings.dynamics.planar and not self.is_flat

    @property
    def is_solid(self) -> bool:
        """Whether objects are those of a stack, and not of its planes."""
        return not (self.is_flat or self.is_planar)

    @property
    def links(self) -> bool:
        """Whether the objects of planes are linked to objects of the stack."""
        return self.is_planar and self.settings.stitch_threshold > 0

    @property
    def flow_threshold(self) -> float:
        """Objects with a larger flow error are dropped; 0 for no check."""
        clean = self.settings.clean
        return clean.flow_threshold_3d if self.is_solid else clean.flow_threshold

    @property
    def sound(self) -> str:
        """The scratch entries that hold the objects that stay, before their holes are filled."""
        return "checked" if self.flow_threshold else "objects"

    @property
    def final(self) -> str:
        """The scratch entries that hold the objects that stay, as they will be."""
        return "filled" if self.settings.clean.fill_holes else self.sound

    @property
    def share(self) -> float:
        """The part of the blocks that is worked on: those without foreground are skipped."""
        return 1.0 if self.foreground is None else min(1.0, self.foreground.blocks / len(self.grid))

    @property
    def tile_share(self) -> float:
        """The part of the network's tiles that is run."""
        return 1.0 if self.foreground is None else min(1.0, self.foreground.tiles / self.lattice.tiles)

    @property
    def voxels(self) -> int:
        z, y, x = self.extent
        return z * y * x

    def made_now(self) -> Plan:
        """This plan for a run that begins now, if the algorithm still gives its labels; itself if it does not."""
        return replace(self, engine=ENGINE) if self.engine in SAME_LABELS else self

    @cached_property
    def id(self) -> str:
        """Equal for plans that give the same labels in the same blocks; costs do not count."""
        values = self.to_json()
        del values["budget"], values["notes"], values["network"], values["model_kind"]
        del values["spacing"]["sources"], values["spacing"]["backward"]
        if self.foreground is None:  # plans of before there was such a thing keep their id
            del values["foreground"]
        if len(set(self.spacing.units)) == 1:  # so do those of one unit
            del values["spacing"]["units"]
        return fingerprint(values)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        return from_document(cls, values)

    def __str__(self) -> str:
        return plan_table(self)


def skipped_notice(plan: Plan) -> str:
    """What to tell of what is skipped."""
    note = plan.foreground
    assert note is not None
    tiles = f", and {plan.lattice.tiles - note.tiles} of {plan.lattice.tiles} network tiles," if plan.model else ""
    return (
        f"{len(plan.grid) - note.blocks} of {len(plan.grid)} blocks{tiles} have to do with no foreground and are "
        f"skipped; {note.voxels / plan.voxels:.1%} of the volume is foreground"
    )


def plan_table(plan: Plan) -> str:
    """What would be done and what it would cost, a line each."""
    s, b = plan.settings, plan.budget
    rows = [
        ("volume", f"{shape(plan.extent)} voxels (z, y, x), {plan.dtype}, channels {', '.join(plan.channels)}"),
        ("voxel", plan.spacing.described()),
        ("blocks", f"{len(plan.grid)} of {shape(plan.grid.shape)}"),
    ]
    if plan.foreground is not None:
        rows.append(("foreground", skipped_notice(plan)))
    if plan.model:
        lattice = plan.lattice
        seen = [lattice.input_voxels(v) for v in lattice.views]
        grid = ", ".join(f"{n / prod(lattice.extent):.2f}" for n in seen)
        volume = ", ".join(f"{n / plan.voxels:.2f}" for n in seen)
        rows += [
            (
                "model",
                f"{plan.model} ({plan.model_kind}, {plan.model_sha256[:12]}), cells of {plan.model_diameter:g} voxels",
            ),
            ("diameter", f"{s.diameter:g} voxels along x, anisotropy {s.anisotropy:g}"),
            ("intensities", describe(s.normalize)),
            ("network", f"grid {shape(plan.grids.network)}, {lattice.tiles} tiles in {len(lattice.cubes)} tasks"),
            ("", f"{s.flows.precision}, {_views(plan)}"),
            ("", f"input voxels per voxel of its grid, each view: {grid} (of the volume: {volume})"),
        ]
    else:
        rows.append(("flows", str(plan.flows.get("source", "given"))))
    rows += [("", note) for note in plan.notes]
    if b is not None:
        rows += [
            ("memory", f"{size(b.worker)} a worker, {size(b.driver)} the driver, {b.workers} workers"),
            ("disk", f"about {size(b.scratch)} scratch at any time, {size(b.output)} labels, {b.files} files"),
        ]
        if b.slab:
            layers = f"{b.slab} layers" if b.slab > 1 else "a layer"
            every = size(b.stagewise)
            rows.append(("", f"{layers} of blocks at a time; stage after stage, as in jobs of a queue, about {every}"))
        rows += [("time", f"about {duration(b.seconds)}")] if b.seconds else []
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _views(plan: Plan) -> str:
    """How outputs become flows."""
    s, many = plan.settings, len(plan.lattice.views) > 1
    said = "views averaged" if s.flows.views == "average" else "views summed"
    said = said if many else "one view"
    if many and len(set(s.flows.view_weights)) > 1:
        said += " with weights " + ", ".join(f"{w:g}" for w in s.flows.view_weights)
    if s.flows.augment:
        said += ", tiles mirrored by turns" if s.tiles.mirrored else ", every tile in 4 flips"
    if s.tiles.layout == "cellpose":
        said += ", tiles as Cellpose lays them"
    if any(s.flows.smooth):
        said += f", smoothed by {', '.join(f'{v:g}' for v in s.flows.smooth)} voxels"
    return f"{said}, zx and zy by {plan.model_ortho}" if plan.model_ortho else said
