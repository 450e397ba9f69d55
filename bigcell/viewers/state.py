"""The complete state of a neuroglancer view, as JSON values: layers, axes, voxel sizes, contrast, position, zoom.

Neuroglancer does not find labels by itself nor takes contrast from every file, so all of it is written out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.io.ngff.image import check_forward
from bigcell.io.ngff.metadata import ImageInfo
from bigcell.report.colours import channel_colours, hex_colour
from bigcell.viewers.shown import SECONDS, Found, Shown, um_of

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32", "bool")
SHADER = """#uicontrol invlerp contrast
#uicontrol vec3 color color(default="{colour}")
void main() {{
  emitRGB(color * contrast());
}}
"""
PANEL = (520.0, 380.0)  # pixels across and down that a panel surely has in a browser window
MOST_VISIBLE = 4  # channels; the others are listed, hidden
AROUND = 3.5  # an object looked for is shown with this many times its size around it


def view_state(
    shown: Shown,
    addresses: Mapping[str, str],
    *,
    windows: Sequence[tuple[float, float]] = (),
    found: tuple[str, int, Found] | None = None,
) -> dict[str, Any]:
    """The state for `shown`, its folders served at `addresses` (source -> http address).

    `windows`: contrast of each channel of the image. `found`: name of the labels, id, and where that object is.
    """
    first = shown.image or next(iter(shown.labels.values()))
    names = list(shown.labels)
    layers = image_layers(shown.image, addresses[shown.image.source], windows) if shown.image else []
    taken = {layer["name"] for layer in layers}
    chosen = found[0] if found else (names[0] if names else None)
    for name, info in shown.labels.items():
        layer = label_layer(info, addresses[info.source], id=found[1] if found and name == chosen else None)
        title = name if name not in taken else f"{name} labels"
        layers.append({**layer, "name": title, **({} if name == chosen else {"visible": False})})
    selected = next((lay["name"] for lay in layers if lay["type"] == "segmentation" and "visible" not in lay), None)
    state: dict[str, Any] = {
        "dimensions": dimensions(first, [a for a in "xyzt" if a in first.axes]),
        **_place(first, (shown.labels[found[0]], found[2]) if found else None),
        "layers": layers,
        "layout": "4panel" if first.length("z") > 1 else "xy",
        "showAxisLines": False,
        "showDefaultAnnotations": False,
        "crossSectionBackgroundColor": "#000000",
        "projectionBackgroundColor": "#101014",
    }
    if selected is not None:
        state["selectedLayer"] = {"visible": True, "layer": selected}
    return state


def image_layers(info: ImageInfo, address: str, windows: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    """A layer for every channel, added up in their colours: each can be hidden, recoloured and stretched."""
    _check_shown(info)
    layers = []
    names = _unique(info.channels if info.length("c") > 1 else ("image",))
    for i, (name, colour, limits) in enumerate(zip(names, channel_colours(len(names)), windows, strict=True)):
        layer: dict[str, Any] = {
            "type": "image",
            "name": name,
            "source": f"zarr://{address}",
            "shader": SHADER.format(colour=hex_colour(colour)),
            "shaderControls": {"contrast": _contrast(limits, info.levels[0].dtype)},
            "blend": "additive",
            "opacity": 1,
        }
        if "c" in info.axes:
            layer |= {"localDimensions": {"c'": [1, ""]}, "localPosition": [i]}
        if i >= MOST_VISIBLE:
            layer["visible"] = False
        layers.append(layer)
    return layers


def label_layer(info: ImageInfo, address: str, *, id: int | None = None) -> dict[str, Any]:
    """The layer of a label image; with an `id`, that object is selected and the others are faint."""
    _check_shown(info)
    layer: dict[str, Any] = {
        "type": "segmentation",
        "source": f"zarr://{address}",
        "selectedAlpha": 0.45,
        "tab": "segments",
    }
    if id is not None:
        layer |= {"segments": [str(id)], "notSelectedAlpha": 0.15, "selectedAlpha": 0.6}
    return layer


def dimensions(info: ImageInfo, axes: Sequence[str]) -> dict[str, list[Any]]:
    """Axis name -> size of a voxel of level 0 and its unit (m, s), or the file's number where it gives no unit."""
    found = {}
    for axis in axes:
        size = info.levels[0].scale[info.axes.index(axis)]
        if axis == "t":
            unit = info.unit("t")
            found["t"] = [size * SECONDS[unit], "s"] if unit in SECONDS else [size, ""]
        else:
            um = um_of(info, axis)
            found[axis] = [size * um * 1e-6, "m"] if um is not None else [size, ""]
    return found


def _contrast(limits: tuple[float, float], dtype: np.dtype[Any]) -> dict[str, list[float]]:
    """Range and, a little wider, the histogram's window: numbers that the dtype has, or all of it is ignored."""
    low, high = limits
    window = [low - 0.1 * (high - low), high + 0.3 * (high - low)]
    if dtype.kind == "f":
        return {"range": [low, high], "window": window}
    least, most = (0, 255) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    bounds = [min(max(v, least), most) for v in (floor(low), ceil(high), floor(window[0]), ceil(window[1]))]
    return {"range": [bounds[0], bounds[1]], "window": [bounds[2], bounds[3]]}


def _place(info: ImageInfo, found: tuple[ImageInfo, Found] | None) -> dict[str, Any]:
    """Position and zoom: all of the image, or the object with its surroundings.

    Neuroglancer puts the middle of voxel i at coordinate i, moved by the file's translation.
    """
    zoom, reach = _zoom(info, Box.of(info.extent()), 1.1)
    centre: dict[str, float] = {a: n // 2 + _corner(info, a) for a, n in zip("zyx", info.extent(), strict=True)}
    if found is not None:
        labels, at = found
        near, near_reach = _zoom(labels, at.box, AROUND)
        ratio = _finest(labels) / _finest(info)
        zoom, reach = min(zoom, near * ratio), min(reach, near_reach * ratio)
        for axis, v in zip("zyx", at.centre, strict=True):
            centre[axis] = (v + _corner(labels, axis)) * _step(labels, axis) / _step(info, axis)
    return {
        "position": [0 if a == "t" else centre[a] for a in "xyzt" if a in info.axes],
        "crossSectionScale": zoom,
        "projectionScale": reach,
    }


def _zoom(info: ImageInfo, box: Box, around: float) -> tuple[float, float]:
    """Finest voxels a pixel of the sections, and voxels across the 3-D panel, to see `box` and what is around it."""
    z, y, x = (n * _step(info, a) for n, a in zip(box.shape, "zyx", strict=True))
    flat = info.length("z") == 1
    across, down = (x, y) if flat else (max(x, z), max(y, z))
    width, height = (2 * PANEL[0], 2 * PANEL[1]) if flat else PANEL
    scale = around / _finest(info)
    return scale * max(across / width, down / height), 1.4 * scale * max(x, y, 0 if flat else z)


def _finest(info: ImageInfo) -> float:
    return min(_step(info, a) for a in "zyx" if a in info.axes)


def _step(info: ImageInfo, axis: str) -> float:
    """Size of a voxel in the unit of the view, see `um_of`."""
    if axis not in info.axes:
        return 1.0
    return info.levels[0].scale[info.axes.index(axis)] * (um_of(info, axis) or 1.0)


def _corner(info: ImageInfo, axis: str) -> float:
    """Where voxel 0 lies, in voxels."""
    if axis not in info.axes:
        return 0.0
    level, at = info.levels[0], info.axes.index(axis)
    return level.translation[at] / level.scale[at]


def _unique(names: Sequence[str]) -> list[str]:
    """Channel names as layer names: a number gets a word, the second of a name its number."""
    words = [f"channel {n}" if n.isdecimal() else n for n in names]
    return [w if words.count(w) == 1 else f"{w} ({i})" for i, w in enumerate(words)]


def _check_shown(info: ImageInfo) -> None:
    """Refuse what a browser cannot show, or would show in another place."""
    check_forward(info)
    dtype = info.levels[0].dtype
    if dtype.name not in DTYPES:
        raise InputError(f"{info.source} is {dtype}, which a browser cannot show; rewrite it as one of {DTYPES}")
