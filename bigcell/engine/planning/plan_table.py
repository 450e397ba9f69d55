"""Plans as a table for people."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from bigcell.core.words import duration, shape, size
from bigcell.engine.planning.disk_cost import stage_bytes
from bigcell.engine.planning.foreground import skipped_notice
from bigcell.preprocess.normalize import describe

if TYPE_CHECKING:
    from bigcell.engine.planning.plan import Plan


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
            every = size(stage_bytes(plan))
            rows.append(("", f"{layers} of blocks at a time; stage after stage, as in jobs of a queue, about {every}"))
        rows += [("time", f"about {duration(b.seconds)}")] if b.seconds else []
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)
