"""Voxel sizes in TIFF files, axis by axis: OME-XML, ImageJ, Zeiss LSM, MetaMorph and Micro-Manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any
from xml.etree import ElementTree

from bigcell.core.axes import ZYX, Spacing
from bigcell.core.units import um_per

Size = tuple[float | None, str | None, str]
"""Size, unit and source of a voxel along an axis."""
PIXEL = ("PixelSize_um", "PixelSizeUm")
MISSING: Size = (None, None, "nothing in the file")


def tiff_spacing(tif: Any, series: int) -> Spacing:
    """Voxel size of a series, from what the program that wrote the file says: what it lacks is unknown by itself.

    The resolution tag alone is not believed: most programs write 72 dpi.
    """
    read = (reader(tif, series) for reader in (_ome, _imagej, _lsm, _metamorph))
    found = next((sizes for sizes in read if sizes is not None), dict.fromkeys(ZYX, MISSING))
    if not all(found[a][0] and um_per(found[a][1]) for a in ZYX):
        for axis, size in _micromanager(tif).items():
            found[axis] = found[axis] if found[axis][0] and um_per(found[axis][1]) else size
    sizes, units, sources = ([found[a][i] for a in ZYX] for i in range(3))
    return Spacing.measured(sizes, units, sources)  # type: ignore[arg-type]


def ome_pixels(tif: Any, series: int) -> ElementTree.Element | None:
    """The ``Pixels`` of a series in OME-XML, if it is there and can be read.

    Images whose file is not there are no series: of those listed, then, the only one of the series' shape is taken.
    """
    try:
        listed = ElementTree.fromstring(tif.ome_metadata).findall(".//{*}Pixels")
    except (TypeError, ElementTree.ParseError):
        return None
    if len(listed) == len(tif.series):
        return listed[series]
    chosen = tif.series[series]
    lengths = dict(zip(chosen.axes, chosen.shape, strict=True))
    alike = [p for p in listed if all(p.get(f"Size{a}") == str(lengths.get(a, 1)) for a in "TZYX")]
    return alike[0] if len({tuple(sorted(_sizes(p))) for p in alike}) == 1 else None


def _sizes(pixels: ElementTree.Element) -> list[tuple[str, str]]:
    """What ``Pixels`` say of voxel sizes, and the names of channels."""
    said = [(k, v) for k, v in pixels.items() if k.startswith("PhysicalSize")]
    return said + [("Channel", c.get("Name", "")) for c in pixels.findall("{*}Channel")]


def _ome(tif: Any, series: int) -> dict[str, Size] | None:
    pixels = ome_pixels(tif, series)
    if pixels is None:
        return None
    found = {}
    for axis in ZYX:
        name = f"PhysicalSize{axis.upper()}"
        value, unit = pixels.get(name), pixels.get(f"{name}Unit", "µm")
        found[axis] = MISSING if value is None else (_number(value), unit, f"OME {name} {value[:20]} {unit[:40]}")
        if axis == "z" and _number(value) is None and pixels.get("SizeZ") == "1":
            found[axis] = (1.0, "µm", "a plane, which counts as 1 µm thick")
    return found


def _imagej(tif: Any, series: int) -> dict[str, Size] | None:
    """ImageJ says a unit for y and z only where it is not that of x, and the depth only where it is not 1."""
    about = tif.imagej_metadata
    if about is None:
        return None
    unit = str(about.get("unit", ""))
    units = {"x": unit, "y": str(about.get("yunit", unit)), "z": str(about.get("zunit", unit))}
    depth = about.get("spacing")
    source = f"ImageJ spacing {depth}" if depth is not None else "ImageJ, which leaves out a spacing of 1"
    sizes = {"z": (_number(1.0 if depth is None else depth), source)}
    for axis in "yx":
        name = f"{axis.upper()}Resolution"
        tag = tif.pages[0].tags.get(name)
        sizes[axis] = (None if tag is None else _inverse(tag.value), f"ImageJ, {name}")
    return {a: (size, units[a], f"{source}, unit {units[a] or 'none'}") for a, (size, source) in sizes.items()}


def _lsm(tif: Any, series: int) -> dict[str, Size] | None:
    about = tif.lsm_metadata
    if about is None:
        return None
    return {a: (_number(about.get(f"VoxelSize{a.upper()}")), "m", f"LSM VoxelSize{a.upper()}") for a in ZYX}


def _metamorph(tif: Any, series: int) -> dict[str, Size] | None:
    about = tif.stk_metadata
    if about is None:
        return None
    unit = str(about.get("CalibrationUnits", ""))
    depths = about.get("ZDistance")
    depth = _number(depths[0]) if depths is not None and len(depths) else None
    said = f"unit {unit or 'none'}"
    found: dict[str, Size] = {"z": (depth, unit, f"MetaMorph ZDistance, {said}")}
    for axis in "yx":
        name = f"{axis.upper()}Calibration"
        found[axis] = (_number(about.get(name)), unit, f"MetaMorph {name}, {said}")
    return found


def _micromanager(tif: Any) -> dict[str, Size]:
    """What Micro-Manager says in the summary of a file, or else with its first page."""
    found: dict[str, Size] = {}
    for about in (_summary(tif), _first_page(tif)):
        for axis, names in (("z", ("z-step_um",)), ("y", PIXEL), ("x", PIXEL)):
            for name in names:
                if axis not in found and (size := _number(about.get(name))) is not None:
                    found[axis] = (size, "µm", f"Micro-Manager {name} {size:g}")
    return found


def _summary(tif: Any) -> Mapping[str, Any]:
    try:
        about = (tif.micromanager_metadata or {}).get("Summary")
    except (ValueError, TypeError, AttributeError):  # a header that is none
        about = None
    return about if isinstance(about, Mapping) else {}


def _first_page(tif: Any) -> Mapping[str, Any]:
    tag = tif.pages[0].tags.get(51123)
    return tag.value if tag is not None and isinstance(tag.value, Mapping) else {}


def _number(value: object) -> float | None:
    """A size that is one: no text, no 0, nothing infinite."""
    return _tried(lambda: float(value))  # type: ignore[arg-type]


def _inverse(ratio: object) -> float | None:
    """The size of a pixel by a resolution, pixels a unit as a fraction."""
    return _tried(lambda: ratio[1] / ratio[0])  # type: ignore[index]


def _tried(compute: Callable[[], float]) -> float | None:
    try:
        value = compute()
    except (TypeError, ValueError, ZeroDivisionError, IndexError, OverflowError):
        return None
    return value if isfinite(value) and value != 0 else None
