"""JSON that anybody may have written, read into plain values, or refused in one sentence that says why."""

from __future__ import annotations

import json
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

from bigcell.core.errors import InputError

LARGEST = 1 << 28
"""Bytes of a document that is read: none of ours has more."""
_LIMIT = int(1.7e308)
_KINDS = {list: "list", str: "text", int: "number", float: "number", bool: "truth value", type(None): "null"}


def read_object(path: str | Path) -> dict[str, Any]:
    """The JSON object in the file at `path`. FileNotFoundError where there is none, InputError for anything else."""
    place = Path(path)
    try:
        size = place.stat().st_size
        content = place.read_bytes() if size <= LARGEST else b""
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{place} cannot be read ({error.strerror}); wanted a file that is yours to read") from error
    if size > LARGEST:
        raise InputError(f"{place} has {size} bytes, wanted a document of at most {LARGEST}; it is not one of ours")
    return parse_object(content, str(place))


def object_or_empty(path: str | Path) -> dict[str, Any]:
    """The JSON object in the file at `path`; empty where there is none, or none that can be read."""
    try:
        return read_object(path)
    except (OSError, InputError):
        return {}


def parse_object(content: bytes | str, what: str) -> dict[str, Any]:
    """The JSON object in `content`; `what` is its name in the message."""
    found = parse_json(content, what)
    if not isinstance(found, dict):
        kind = _KINDS.get(type(found), "value")
        raise InputError(f"{what} holds a JSON {kind}, wanted an object {{...}}; it may be damaged")
    return found


def parse_json(content: bytes | str, what: str) -> Any:
    """The JSON in `content`, all of whose numbers are finite and fit a float.

    >>> parse_json("[1, 2.5]", "the list")
    [1, 2.5]
    """
    try:
        found = json.loads(content, parse_constant=_refuse, parse_float=_real, parse_int=_whole)
        escaped = b"\\u" in content if isinstance(content, bytes) else "\\u" in content
        if escaped:  # half a letter may hide there
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except RecursionError as error:
        raise InputError(f"{what} is nested too deeply for JSON of ours; it may be damaged, do not trust it") from error
    except ValueError as error:
        raise InputError(f"{what} is not JSON as wanted ({str(error)[:200]}); it may be damaged") from error


def is_number(value: object) -> bool:
    """Whether `value` is a number that is finite, also as a float.

    >>> is_number(3), is_number(True), is_number(10**400), is_number(float("nan"))
    (True, False, False, False)
    """
    if type(value) is float:
        return isfinite(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return -_LIMIT <= int(value) <= _LIMIT if isinstance(value, Integral) else isfinite(value)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"found {text}, wanted finite numbers")


def _real(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _refuse(text[:40])


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 310 else _LIMIT + 1
    return value if abs(value) <= _LIMIT else _refuse(f"{text[:20]}... of {len(text)} digits")
