"""Flows at rest: an OME-Zarr of integer dz, dy, dx and cell probability, from which masks can be made again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from bigcell.core.axes import Spacing, Zyx
from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.core.volume import Array
from bigcell.io.ngff.attributes import multiscale_attributes
from bigcell.io.ngff.layout import (
    Grid,
    Place,
    axes_metadata,
    base_scale,
    dataset_metadata,
    grid_of,
    make_array,
    units_of,
)
from bigcell.io.ngff.missing_chunks import OURS
from bigcell.io.stores.location import attributes_of, group_is_there, open_group
from bigcell.io.stores.staged_folder import building_place, check_place, is_marked, put_in_place, remove_tree
from bigcell.io.stores.urls import absolute, is_url

AXES = ("c", "z", "y", "x")
CHANNELS = ("dz", "dy", "dx", "cellprob")
HOLDS = "flows"
"""What a store of flows says of itself under ``bigcell``: its int16 are then read as they are."""


@dataclass(frozen=True)
class FlowStore:
    """Flows being written to `path`. Picklable: every process opens the array itself; tasks write whole shards."""

    path: str
    grid: Grid

    @classmethod
    def at(cls, path: str | Path, extent: Zyx) -> FlowStore:
        """The store of flows of a volume of `extent`, laid out by the extent alone. Writes nothing."""
        plane = extent[0] == 1
        chunk, shard = ((1, 512, 512), (1, 2048, 2048)) if plane else ((64, 64, 64), (256, 256, 256))
        return cls(absolute(path), grid_of(extent, chunk, shard))

    @property
    def building(self) -> Path:
        """Where it is written until it is whole."""
        return building_place(Path(self.path))

    def regions(self) -> Iterator[Box]:
        """What tasks write: whole shards, which tile the volume once."""
        return Box.of(self.grid.extent).split(self.grid.shard)

    def write(self, region: Box, flows: Array) -> None:
        """Put int16 `flows` (4, z, y, x) at `region`."""
        if not group_is_there(str(self.building)):  # zarr would make the folder
            raise OutputError(f"there are no flows being written at {self.building}; continue with `bigcell resume`")
        try:
            _open(str(self.building))[(slice(None), *region.slices)] = flows
        except OSError as error:
            raise OutputError(f"{self.building} cannot be written ({error}); is the disk full?") from error


def create_flows(store: FlowStore) -> None:
    """An empty array at the building place; whatever an earlier run left there is removed."""
    try:
        remove_tree(store.building)
        zarr.create_group(LocalStore(store.building), zarr_format=3)
        lengths = {"c": len(CHANNELS)}
        make_array(
            store.building, "0", store.grid, axes=AXES, lengths=lengths, dtype=np.dtype(np.int16), version="0.5",
            shuffle=True,
        )  # fmt: skip
    except OSError as error:
        raise OutputError(f"{store.building} cannot be made ({error}); give another place for the flows") from error


def publish_flows(
    store: FlowStore, *, spacing: Spacing, origin_um: tuple[float, ...], about: Mapping[str, Any], overwrite: bool
) -> None:
    """Describe the flows, with `about` under ``bigcell``, and give them their name. Doing it again is harmless.

    `overwrite`: whether other flows of ours may be replaced; anything else that stands there never is.
    """
    final = Path(store.path)
    if is_marked(final) and not is_marked(store.building):  # an earlier driver came this far
        put_in_place(store.building, final)
        return
    if not group_is_there(str(store.building)):
        if are_flows_of(final, about):
            return
        raise OutputError(f"there are no flows at {store.building} to publish; run the segmentation again")
    multiscale = {
        "name": final.stem,
        "axes": axes_metadata(AXES, units_of(AXES, spacing)),
        "datasets": [dataset_metadata("0", Place(base_scale(AXES, spacing), (0.0, *origin_um)))],
    }
    channels = [{"label": name, "color": "FFFFFF", "window": _window(name)} for name in CHANNELS]
    group = zarr.open_group(LocalStore(store.building), mode="r+", use_consolidated=False)
    group.attrs.update(multiscale_attributes(multiscale, "0.5", omero={"channels": channels}))
    group.attrs["bigcell"] = {"holds": HOLDS, **about}
    check_flows_place(final, overwrite=overwrite)
    put_in_place(store.building, final)


def check_flows_place(path: str | Path, *, overwrite: bool) -> Path:
    """`path` as a place for kept flows, or an OutputError. With `overwrite` it may hold flows of ours, nothing else."""
    final = check_place(path, "flows", overwrite=overwrite)
    if final.exists() and not holds_flows(final):
        raise OutputError(f"{final} holds no flows that bigcell kept, so it will not be overwritten; give another path")
    return final


def holds_flows(path: str | Path) -> bool:
    """Whether flows that bigcell kept stand at `path`, which is of this machine."""
    return not is_url(path) and group_is_there(str(path)) and flow_attributes(path).get("holds") == HOLDS


def are_flows_of(path: str | Path, about: Mapping[str, Any]) -> bool:
    """Whether the store at `path` holds the flows of the run that `about` describes."""
    if not group_is_there(str(path)):
        return False
    wanted: dict[str, Any] = json.loads(json.dumps({"holds": HOLDS, **about}))
    return flow_attributes(path) == wanted


def _window(name: str) -> dict[str, float]:
    reach = 2048 if name == "cellprob" else 1024
    return {"min": -32768, "max": 32767, "start": -reach, "end": reach}


@lru_cache(maxsize=8)
def _open(building: str) -> zarr.Array[Any]:
    return zarr.open_array(LocalStore(Path(building)), path="0", mode="r+", config=OURS)


def flow_attributes(path: str | Path) -> dict[str, Any]:
    """What the store of flows at `path` says under ``bigcell``."""
    ours = attributes_of(open_group(absolute(path))).get("bigcell", {})
    return dict(ours) if isinstance(ours, Mapping) else {}
