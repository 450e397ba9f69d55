"""bigcell: Cellpose's method for volumes that do not fit in memory.

>>> import bigcell
>>> "segment" in bigcell.__all__
True
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # that of typing takes long to import, in which the command line cannot say how it was ended

__version__ = "0.1.0"

# numba and torch share OpenMP threads that wait by spinning: on a machine that has other work to do, that slowed the
# network thirtyfold. Must be said before either is loaded; what the user has set wins.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOME = {
    "BigcellError": "bigcell.core.errors",
    "Plan": "bigcell.engine.planning.plan",
    "Result": "bigcell.engine.pipeline.stage_runner",
    "convert": "bigcell.api",
    "evaluate": "bigcell.api",
    "flows_from_labels": "bigcell.flows.from_labels",
    "link_planes": "bigcell.stitch.planes",
    "masks": "bigcell.api",
    "masks_from_flows": "bigcell.dynamics.masks",
    "open_volume": "bigcell.api",
    "plan": "bigcell.api",
    "rerun": "bigcell.api",
    "resume": "bigcell.api",
    "segment": "bigcell.api",
    "train": "bigcell.training.train",
    "view": "bigcell.viewers.neuroglancer",
}

__all__ = [
    "BigcellError",
    "Plan",
    "Result",
    "convert",
    "evaluate",
    "flows_from_labels",
    "link_planes",
    "masks",
    "masks_from_flows",
    "open_volume",
    "plan",
    "rerun",
    "resume",
    "segment",
    "train",
    "view",
]

if TYPE_CHECKING:
    from typing import Any

    from bigcell.api import convert, evaluate, masks, open_volume, plan, rerun, resume, segment
    from bigcell.core.errors import BigcellError
    from bigcell.dynamics.masks import masks_from_flows
    from bigcell.engine.pipeline.stage_runner import Result
    from bigcell.engine.planning.plan import Plan
    from bigcell.flows.from_labels import flows_from_labels
    from bigcell.stitch.planes import link_planes
    from bigcell.training.train import train
    from bigcell.viewers.neuroglancer import view


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bigcell' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
