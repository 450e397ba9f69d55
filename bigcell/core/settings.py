"""Settings are frozen dataclasses; here they become plain dicts (JSON) and come back, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from numbers import Integral
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from bigcell.core.documents import is_number
from bigcell.core.errors import SettingsError

T = TypeVar("T")
_WANTED = {
    int: "a whole number",
    float: "a finite number",
    str: "one line of text",
    bool: "true or false",
    dict: "a mapping",
}


def to_dict(settings: Any) -> dict[str, Any]:
    """`settings` as nested plain dicts, ready for JSON."""
    return asdict(settings)


def from_document(kind: type[T], values: Mapping[str, Any]) -> T:
    """As `from_dict`, of a document that anybody may have written: a value of another type is an error too."""
    return from_dict(kind, values, strict=True)


def from_dict(kind: type[T], values: Mapping[str, Any], *, strict: bool = False) -> T:
    """The dataclass `kind` from plain values, which it checks itself unless `strict`.

    An unknown key is an error that names the nearest known one; so is one that is missing.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{kind.__name__}: found {type(values).__name__}, wanted a mapping of settings")
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise SettingsError(f"{kind.__name__} has no setting {str(name)[:80]!r}; {hint}")
    try:
        return kind(**{name: _revive(hints[name], value, name, strict) for name, value in values.items()})
    except TypeError as error:  # of the constructor: something is missing
        raise SettingsError(f"{kind.__name__}: {str(error).partition('() ')[2] or error}") from error


def check_type(wanted: Any, **values: Any) -> None:
    """SettingsError for the first of `values` that is not of the plain type `wanted`, such as ``int | None``.

    >>> check_type(int | None, workers=4, level=None)
    """
    for name, value in values.items():
        _revive(wanted, value, name, strict=True)


def _revive(hint: Any, value: Any, name: str, strict: bool) -> Any:
    """`value` from JSON as `hint` wants it: lists become tuples, mappings become their dataclass."""
    options = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    for option in options:
        if is_dataclass(option) and isinstance(value, Mapping):
            return from_dict(option, value, strict=strict)  # type: ignore[arg-type]
        if get_origin(option) is tuple and isinstance(value, (list, tuple)):
            return _revived_tuple(get_args(option), value, name, strict)
    if strict and not any(_fits(option, value) for option in options):
        raise SettingsError(f"{name} {_shown(value)}: wanted {' or '.join(map(_words, options))}")
    return value


def _revived_tuple(inner: tuple[Any, ...], values: Any, name: str, strict: bool) -> tuple[Any, ...]:
    """The values of a tuple, as many as its type says."""
    if not inner or inner[-1] is Ellipsis or (len(values) != len(inner) and not strict):
        return tuple(_revive(inner[0] if inner else Any, v, name, strict) for v in values)
    if len(values) != len(inner):
        raise SettingsError(f"{name} {_shown(values)}: wanted {len(inner)} values, found {len(values)}")
    return tuple(_revive(each, v, name, strict) for each, v in zip(inner, values, strict=True))


def _fits(option: Any, value: Any) -> bool:
    """Whether `value` is what the plain type `option` says; types that say nothing of plain values fit all."""
    if option is Any:  # a class, since Python 3.11
        return True
    if option in (None, NoneType):
        return value is None
    if option is bool:
        return isinstance(value, bool)
    if option is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if option is float:
        return is_number(value)
    if get_origin(option) is Literal:
        return type(value) in map(type, get_args(option))  # whoever takes it names the choices
    if get_origin(option) is tuple:
        return False  # lists and tuples were seen to before
    if get_origin(option) is dict and isinstance(value, dict):
        return all(_fits(get_args(option)[1], v) for v in value.values())
    plain = get_origin(option) or option
    return not isinstance(plain, type) or plain is object or isinstance(value, plain)


def _words(option: Any) -> str:
    if get_origin(option) is tuple:
        return "a list"
    plain = get_origin(option) or option
    if is_dataclass(plain):
        return "a table of settings"
    if plain is Literal:
        return f"one of {', '.join(map(repr, get_args(option)))}"
    return "nothing" if option in (None, NoneType) else _WANTED.get(plain, getattr(plain, "__name__", str(plain)))


def _shown(value: Any) -> str:
    return repr(value) if not isinstance(value, int) or abs(value) < 1e30 else "of too many digits"
