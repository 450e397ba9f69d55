"""OME-NGFF 0.6, which names coordinate systems, and the form of 0.4 and 0.5, which has one: each as the other.

Of an image with several systems the intrinsic one is taken, to which each level's own transformation leads. What goes
on from there, to a stage or an atlas, does not change the voxels. Source: the specification of OME-NGFF 0.6 (RFC-5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bigcell.core.documents import is_number
from bigcell.core.errors import InputError

VERSION = "0.6"
SYSTEM = "physical"
"""What we call the intrinsic coordinate system."""
DEEPEST = 16
"""Sequences in sequences that are followed."""


def is_06(version: str) -> bool:
    """Whether a version is this one, or was on the way to it.

    >>> is_06("0.6"), is_06("0.6.dev4"), is_06("0.60"), is_06("0.5")
    (True, True, False, False)
    """
    return version == VERSION or version.startswith((f"{VERSION}rc", f"{VERSION}.dev"))


def as_older(shown: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A ``multiscales`` entry of 0.6 as one of 0.5: ``axes``, and levels with a scale and a translation.

    InputError for anything that a scale and a translation cannot say.
    """
    levels = entry.get("datasets")
    levels = levels if isinstance(levels, list) else []
    axes = _intrinsic(shown, entry.get("coordinateSystems"), [_output(level) for level in levels])
    datasets = [_level(f"{shown}, level {n}", level, len(axes)) for n, level in enumerate(levels)]
    return {"axes": axes, "datasets": datasets}


def as_newer(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A ``multiscales`` entry of 0.5 as one of 0.6."""
    rest = {key: value for key, value in entry.items() if key not in ("axes", "datasets", "version")}
    datasets = [_newer_level(level) for level in entry["datasets"]]
    return {**rest, "coordinateSystems": [{"name": SYSTEM, "axes": entry["axes"]}], "datasets": datasets}


def _newer_level(level: Mapping[str, Any]) -> dict[str, Any]:
    steps = list(level["coordinateTransformations"])
    step = steps[0] if len(steps) == 1 else {"type": "sequence", "transformations": steps}
    return {
        "path": level["path"],
        "coordinateTransformations": [{**step, "input": {"path": level["path"]}, "output": {"name": SYSTEM}}],
    }


def _output(level: object) -> object:
    """The name of the system that a level's transformation leads to."""
    steps = level.get("coordinateTransformations") if isinstance(level, Mapping) else None
    output = steps[0].get("output") if isinstance(steps, list) and steps and isinstance(steps[0], Mapping) else None
    return output.get("name") if isinstance(output, Mapping) else output


def _intrinsic(shown: str, systems: object, outputs: Sequence[object]) -> list[Any]:
    """The axes of the system that all levels lead to."""
    known = [s for s in systems if isinstance(s, Mapping)] if isinstance(systems, list) else []
    named = {s["name"]: s.get("axes") for s in known if isinstance(s.get("name"), str)}
    wanted = list(dict.fromkeys(map(str, outputs)))
    if len(wanted) != 1 or wanted[0] not in named:
        raise InputError(
            f"{shown}: its levels lead to the coordinate systems {', '.join(wanted)[:100] or 'none'}, wanted one of "
            f"those that it names ({', '.join(named)[:100] or 'none'}), the same for all; repair the metadata"
        )
    axes = named[wanted[0]]
    return axes if isinstance(axes, list) else []


def _level(shown: str, level: object, ndim: int) -> dict[str, Any]:
    steps = level.get("coordinateTransformations") if isinstance(level, Mapping) else None
    if not isinstance(level, Mapping) or not isinstance(steps, list) or len(steps) != 1:
        raise InputError(f"{shown}: wanted one transformation to its coordinate system; repair the metadata")
    scale, move = _folded(shown, steps[0], ndim)
    transforms = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": move}]
    return {"path": level.get("path"), "coordinateTransformations": transforms}


def _folded(shown: str, step: object, ndim: int, depth: int = 0) -> tuple[list[float], list[float]]:
    """A transformation as a scale, then a translation."""
    kind = step.get("type") if isinstance(step, Mapping) else type(step).__name__
    scale, move = [1.0] * ndim, [0.0] * ndim
    if not isinstance(step, Mapping) or "path" in step:
        raise InputError(f"{shown} has a transformation ({str(kind)[:40]}) of numbers in an array; write it as numbers")
    if kind == "scale":
        scale = _numbers(shown, step, "scale", ndim)
    elif kind == "translation":
        move = _numbers(shown, step, "translation", ndim)
    elif kind == "affine":
        scale, move = _diagonal(shown, step.get("affine"), ndim)
    elif kind == "sequence" and isinstance(step.get("transformations"), list) and depth < DEEPEST:
        for part in step["transformations"]:
            by, to = _folded(shown, part, ndim, depth + 1)
            scale = [s * b for s, b in zip(scale, by, strict=True)]
            move = [m * b + t for m, b, t in zip(move, by, to, strict=True)]
    elif kind != "identity":
        raise InputError(
            f"{shown} is placed by a transformation {str(kind)[:40]!r}, wanted a scale and a translation: voxels that "
            "are turned, sheared or bent have to be resampled first"
        )
    return scale, move


def _numbers(shown: str, step: Mapping[str, Any], name: str, ndim: int) -> list[float]:
    values = step.get(name)
    if not isinstance(values, list) or len(values) != ndim or not all(is_number(v) for v in values):
        raise InputError(f"{shown} has the {name} {str(values)[:100]}, wanted {ndim} numbers; repair the metadata")
    return [float(v) for v in values]


def _diagonal(shown: str, rows: object, ndim: int) -> tuple[list[float], list[float]]:
    """An affine matrix (ndim, ndim + 1) that neither turns nor shears."""
    if not isinstance(rows, list) or len(rows) != ndim:
        raise InputError(f"{shown} has no affine matrix of {ndim} x {ndim + 1} numbers; repair the metadata")
    table = [_numbers(shown, {"affine": row}, "affine", ndim + 1) for row in rows]
    if any(table[i][k] for i in range(ndim) for k in range(ndim) if i != k):
        raise InputError(
            f"{shown} is placed by an affine matrix that turns or shears it, wanted a scale and a translation: such "
            "voxels have to be resampled first"
        )
    return [table[i][i] for i in range(ndim)], [row[ndim] for row in table]
