"""The one table of stages: what each is called, what one of its tasks is, and what that task does.

Whoever must know something about a stage asks here. A task carries the numbers of the blocks that it depends on, so it
needs to know nothing else, and leaves whole entries that it alone owns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.slab_schedule import SLAB_STAGES
from bigcell.engine.tasks import (
    assign_ids,
    clean,
    follow,
    intensity,
    link_planes,
    objects,
    predict,
    save_flows,
    write_labels,
)
from bigcell.engine.tasks.job import Job

Run = Callable[[Job, Any], dict[str, Any]]
"""Does one task of a stage and returns its small result."""
Unit = Literal[
    "block",
    "block in a round",
    "block or group of tiles",
    "cube",
    "layer",
    "range of ids",
    "region",
    "region of a coarse level",
]
"""What one task of a stage works on."""


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    `name`: its key in journal, status and record. `label`: what people read. `unit`: what one task works on; the keys
    of tasks of blocks end in the number of the block, after that of the round. `run` does one task. `reads` and
    `leaves` say in words what a task reads and leaves.

    `uses_network`: a GPU makes it faster. `reads_image`: its tasks read the image. `covers_volume`: all its tasks
    together go over every voxel of the volume once.
    """

    name: str
    label: str
    unit: Unit
    run: Run
    reads: str
    leaves: str
    uses_network: bool = False
    reads_image: bool = False
    covers_volume: bool = False

    @property
    def slabwise(self) -> bool:
        """Whether it can be done slab by slab, other stages in between."""
        return self.name in SLAB_STAGES

    def block_of(self, key: str, plan: Plan) -> int | None:
        """The block that its task `key` works on in a run of `plan`; None where that is something else."""
        by_tile = self.unit == "block or group of tiles" and plan.settings.normalize.by == "tile"
        number = key.rpartition("-")[2]
        if by_tile or not self.unit.startswith("block") or not number.isdecimal():
            return None
        return int(number) if int(number) < len(plan.grid) else None

    def running(self, run: Run) -> Stage:
        """The same stage that does something else, for tests and measurements."""
        return replace(self, run=run)


_IN_ORDER = (
    Stage(
        "statistics",
        "contrast",
        "block or group of tiles",
        intensity.statistics,
        reads="the image",
        leaves="a histogram of intensities",
        reads_image=True,
        covers_volume=True,
    ),
    Stage(
        "refine_statistics",
        "contrast, fine",
        "block in a round",
        intensity.refine,
        reads="the image, as often as its type needs",
        leaves="a histogram of the next digits",
        reads_image=True,
    ),
    Stage(
        "predict_flows",
        "network",
        "cube",
        predict.predict,
        reads="the image of the cube's tiles",
        leaves="integer flows",
        reads_image=True,
        uses_network=True,
        covers_volume=True,
    ),
    Stage(
        "save_flows",
        "saving flows",
        "region",
        save_flows.keep,
        reads="flows",
        leaves="flows as an OME-Zarr, if `--keep-flows` asks for it",
        covers_volume=True,
    ),
    Stage(
        "follow_flows",
        "following flows",
        "block",
        follow.follow_block,
        reads="flows of the block and its halo",
        leaves="where its voxels end, their histogram; voxels that left the halo",
        covers_volume=True,
    ),
    Stage(
        "exchange_migrants",
        "across blocks",
        "block in a round",
        follow.drain,
        reads="voxels that came from other blocks, flows",
        leaves="their ends, for the blocks they are from; voxels that go on",
    ),
    Stage(
        "collect_ends",
        "across blocks, home",
        "block",
        follow.settle,
        reads="ends of voxels that left the block",
        leaves="ends and histogram, complete",
    ),
    Stage(
        "find_sinks",
        "cell centres",
        "block",
        objects.sinks,
        reads="histograms of the blocks whose voxels come near",
        leaves="the sink of every end in the block",
        covers_volume=True,
    ),
    Stage(
        "label_blocks",
        "naming cells",
        "block",
        objects.name,
        reads="ends, sinks of the blocks they lie in",
        leaves="labels named by sink, pieces of objects",
        covers_volume=True,
    ),
    Stage(
        "merge_objects",
        "counting",
        "block",
        objects.reduce,
        reads="pieces of the blocks that can hold its objects",
        leaves="the objects whose sink it owns, without those too small",
    ),
    Stage(
        "filter_by_flow_error",
        "checking flows",
        "block",
        clean.check,
        reads="objects it owns, their labels and flows",
        leaves="the objects that fit their flows",
        covers_volume=True,
    ),
    Stage(
        "fill_holes",
        "closing holes",
        "block",
        clean.fill,
        reads="objects it owns, labels around them",
        leaves="voxels of their holes; objects with them",
        covers_volume=True,
    ),
    Stage(
        "plane_overlaps",
        "comparing planes",
        "block",
        link_planes.overlap,
        reads="labels of its planes and of the next one",
        leaves="voxels that objects of neighbouring planes share",
        covers_volume=True,
    ),
    Stage(
        "link_planes",
        "linking planes",
        "layer",
        link_planes.link,
        reads="objects, what they share, the layer before",
        leaves="objects joined over planes (`--stitch-threshold`)",
    ),
    Stage(
        "assign_ids",
        "numbering",
        "layer",
        assign_ids.number,
        reads="objects of the layer's blocks",
        leaves="their ranks, rows of the object table",
    ),
    Stage(
        "write_labels",
        "writing labels",
        "region",
        write_labels.apply,
        reads="labels named by sink, voxels of holes, ranks",
        leaves="final labels and their pyramid",
        covers_volume=True,
    ),
    Stage(
        "downsample",
        "pyramid",
        "region of a coarse level",
        write_labels.coarsen,
        reads="labels of the level before",
        leaves="labels of the coarse level",
    ),
    Stage(
        "write_table",
        "object table",
        "range of ids",
        assign_ids.table,
        reads="rows of the objects",
        leaves="a file of the object table",
    ),
)

STAGES: dict[str, Stage] = {stage.name: stage for stage in _IN_ORDER}
"""All stages by name, in the order in which a run begins them."""
NETWORK_STAGES = frozenset(stage.name for stage in _IN_ORDER if stage.uses_network)
IMAGE_STAGES = frozenset(stage.name for stage in _IN_ORDER if stage.reads_image)


def label_of(stage: str) -> str:
    """What people call a stage; its name, if it is none of ours, as in records of older versions.

    >>> label_of("predict_flows"), label_of("polish")
    ('network', 'polish')
    """
    return STAGES[stage].label if stage in STAGES else stage


def table_as_markdown() -> str:
    """The table of stages as it stands in the documentation.

    >>> print(table_as_markdown().splitlines()[2])
    | `statistics` | contrast | block or group of tiles | the image | a histogram of intensities |
    """
    lines = ["| stage | shown as | a task is a | reads | leaves |", "|---|---|---|---|---|"]
    lines += [f"| `{s.name}` | {s.label} | {s.unit} | {s.reads} | {s.leaves} |" for s in STAGES.values()]
    return "\n".join(lines)
