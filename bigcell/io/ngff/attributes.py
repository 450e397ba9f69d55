"""Group attributes of images and labels, put together and checked by ome-zarr, the reference library of the format.

Its writer makes them in a group in memory: they are valid before anything stands on a disk, and one request writes them
all. Two things it cannot say are added here: how the levels were made (``type``), and the coordinate systems of 0.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any
from warnings import catch_warnings, simplefilter

import zarr
from zarr.storage import MemoryStore

from bigcell.io.ngff.coordinate_systems import as_newer, is_06


def multiscale_attributes(multiscale: Mapping[str, Any], version: str, **others: Any) -> dict[str, Any]:
    """Group attributes with one multiscale image and `others` beside it (``omero``, ``image-label``), as `version`
    wants them. ValueError for levels that it does not allow.

    Labels have the axes of their image. Where those stand in an order that the format does not allow, the library would
    refuse them: they are written as they are.

    >>> level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [2.0, 1.0]}]}
    >>> axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    >>> sorted(multiscale_attributes({"name": "a", "axes": axes, "datasets": [level]}, "0.5")["ome"])
    ['multiscales', 'version']
    """
    given, others = deepcopy(dict(multiscale)), deepcopy(others)  # attributes in memory are the values themselves
    in_order = _in_order([axis["name"] for axis in given["axes"]])
    attributes = (_by_library if in_order else _as_given)(given, "0.4" if version == "0.4" else "0.5", others)
    if is_06(version):  # the library does not know it yet
        ome = attributes["ome"]
        ome |= {"version": version, "multiscales": [as_newer(entry) for entry in ome["multiscales"]]}
    return attributes


def _in_order(axes: Sequence[str]) -> bool:
    """Whether time is first and the channel before all of space."""
    return list(axes) == sorted(axes, key=lambda axis: {"t": 0, "c": 1}.get(axis, 2))


def _by_library(multiscale: dict[str, Any], version: str, others: dict[str, Any]) -> dict[str, Any]:
    formats, writer = _library()
    fmt = formats.FormatV04() if version == "0.4" else formats.FormatV05()
    group = zarr.create_group(MemoryStore(), zarr_format=fmt.zarr_format)
    shown = {"omero": others.pop("omero")} if "omero" in others else {}
    writer.write_multiscales_metadata(
        group,
        multiscale["datasets"],
        fmt=fmt,
        axes=multiscale["axes"],
        name=multiscale["name"],
        metadata={**multiscale.get("metadata", {}), **shown},
    )
    if others:
        writer.add_metadata(group, others, fmt=fmt)
    attributes: dict[str, Any] = group.attrs.asdict()
    (entry,) = attributes.get("ome", attributes)["multiscales"]
    if "type" in multiscale:
        entry["type"] = multiscale["type"]
    return attributes


def _as_given(multiscale: dict[str, Any], version: str, others: dict[str, Any]) -> dict[str, Any]:
    if version == "0.4":
        return {"multiscales": [{**multiscale, "version": version}], **others}
    return {"ome": {"version": version, "multiscales": [multiscale], **others}}


def _library() -> tuple[Any, Any]:
    """The modules `format` and `writer` of ome-zarr. They bring dask and more: seconds that only who writes a store has
    to wait. The writer warns, as it is imported, of what it itself no longer wants to be used."""
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)
        from ome_zarr import format, writer
    return format, writer
