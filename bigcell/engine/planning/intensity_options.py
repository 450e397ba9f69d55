"""Options about intensities, flat or as Cellpose's `normalize` dictionary, become one group of settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bigcell.core.errors import SettingsError
from bigcell.core.settings import from_document
from bigcell.preprocess.normalize import NormalizeSettings

NAMES = tuple(f.name for f in fields(NormalizeSettings) if f.name != "grey")


def intensity_settings(values: dict[str, Any], *, grey: bool = False) -> NormalizeSettings:
    """The settings among `values`, which are taken out of it. None stands for the default.

    >>> values = {"normalize": {"percentile": (2, 98)}, "invert": True, "diameter": 30}
    >>> settings = intensity_settings(values)
    >>> settings.percentile, settings.invert, values
    ((2.0, 98.0), True, {'diameter': 30})
    """
    found = {name: values.pop(name) for name in NAMES if name in values}
    normalize = found.pop("normalize", None)
    if isinstance(normalize, Mapping):
        twice = sorted(k for k in found if found[k] is not None and k in normalize)
        if twice:
            raise SettingsError(f"{', '.join(twice)}: given in normalize and again beside it; give it once")
        found |= dict(normalize)
    elif normalize is not None:
        found["normalize"] = normalize if isinstance(normalize, str) else bool(normalize)
    found = {name: value for name, value in found.items() if value is not None}
    if "percentile" in found:
        found["percentile"] = _pair("percentile", found["percentile"])
    if "lowhigh" in found:
        found["lowhigh"] = _pairs(found["lowhigh"])
    return from_document(NormalizeSettings, found | ({"grey": True} if grey else {}))


def _pairs(value: Any) -> tuple[tuple[float, float], ...]:
    """One pair for all channels, or a pair for each."""
    many = hasattr(value, "__len__") and len(value) > 0 and all(_is_pair(v) for v in value)
    return tuple(_pair("lowhigh", v) for v in (value if many else [value]))


def _is_pair(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str) and len(value) == 2


def _pair(name: str, value: Any) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{name} {value!r}: wanted two numbers, as in (1, 99)") from error
    return low, high
