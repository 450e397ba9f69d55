"""Settings are frozen dataclasses; here they become plain dicts (JSON) and come back, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from bigcell.core.errors import SettingsError

T = TypeVar("T")


def to_dict(settings: Any) -> dict[str, Any]:
    """`settings` as nested plain dicts, ready for JSON."""
    return asdict(settings)


def from_dict(kind: type[T], values: Mapping[str, Any]) -> T:
    """The dataclass `kind` from plain values; an unknown key is an error that names the nearest known one."""
    if not isinstance(values, Mapping):
        raise SettingsError(f"{kind.__name__}: found {type(values).__name__}, wanted a mapping of settings")
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise SettingsError(f"{kind.__name__} has no setting {name!r}; {hint}")
    return kind(**{name: _revive(hints[name], value) for name, value in values.items()})


def _revive(hint: Any, value: Any) -> Any:
    """`value` from JSON as `hint` wants it: lists become tuples, mappings become their dataclass."""
    options = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    for option in options:
        if is_dataclass(option) and isinstance(value, Mapping):
            return from_dict(option, value)  # type: ignore[arg-type]
        if get_origin(option) is tuple and isinstance(value, (list, tuple)):
            inner = get_args(option)
            each = inner[0] if inner else Any
            return tuple(_revive(each, v) for v in value)
    return value
