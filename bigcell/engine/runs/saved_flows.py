"""Flows that an earlier run kept: what that run was, as far as making labels from them again needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.settings import from_document
from bigcell.io.ngff.flow_store import HOLDS, flow_attributes
from bigcell.io.ngff.image import read_info


@dataclass(frozen=True)
class Kept:
    """`image` (None for one that was in memory) and the `view` of it that was segmented into `store`."""

    image: str | None
    view: dict[str, Any]
    store: str
    request: dict[str, Any]

    def options(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of the run's options that `names` tells, as they were resolved."""
        return {name: self.request[name] for name in names if self.request.get(name) is not None}


def is_kept(source: object) -> bool:
    """Whether `source` is the path of flows that a run of ours kept."""
    return isinstance(source, str | Path) and read_info(source).holds == HOLDS


def read_kept(path: str | Path) -> Kept:
    """What the store of flows at `path` says of the run that made it. InputError where it holds no such thing."""
    if not is_kept(path):
        raise InputError(
            f"{path} does not hold flows that bigcell kept; make some with `bigcell segment IMAGE --keep-flows PATH`, "
            "or give flows from elsewhere to `bigcell segment --flows`"
        )
    about = flow_attributes(path)
    try:
        request = dict(about["request"])
        request["niter"] = int(about["plan"]["settings"]["dynamics"]["niter"])
        request["min_size"] = int(about["plan"]["settings"]["sizes"]["min_size"])
        request["flow_threshold_3d"] = float(about["plan"]["settings"]["clean"]["flow_threshold_3d"])
        image = dict(about["inputs"]["image"] or {})
        return Kept(image.pop("source", None), revive_view(image), str(about["store"]), request)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"what {path} says of its run cannot be read ({error!r}); make the flows again") from error


def revive_view(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that open an image again, as a plan or record has them: there a region is two corners."""
    if not stored:
        return {}
    known = from_document(_Stored, stored)
    view = {name: getattr(known, name) for name in stored}
    if known.region is not None:
        start, stop = known.region
        view["region"] = Box(start, stop)
    return view


@dataclass(frozen=True)
class _Stored:
    """A view as a plan or record has it."""

    source: str | None = None
    level: int = 0
    channels: tuple[int | str, ...] | None = None
    time: int = 0
    region: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
