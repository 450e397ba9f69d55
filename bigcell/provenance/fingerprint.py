"""Fingerprints: the same values give the same text, so two runs can be told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(values: Mapping[str, Any]) -> str:
    """`values` as JSON with sorted keys and no spaces; not a number and infinity are refused."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(values: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical form.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(values).encode()).hexdigest()


def difference(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What changed between two nested mappings, one line a value.

    >>> difference({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3})
    ['a.b: 1 -> 2', 'c: (absent) -> 3']
    """
    lines = []
    for key in sorted({*before, *after}):
        old, new = before.get(key, "(absent)"), after.get(key, "(absent)")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += difference(old, new, f"{prefix}{key}.")
        elif old != new:
            lines.append(f"{prefix}{key}: {old} -> {new}")
    return lines
