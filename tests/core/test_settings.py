"""Plain values become settings only where each is of the type that its setting says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.core.settings import from_dict, from_document, to_dict


@dataclass(frozen=True)
class Inner:
    size: float


@dataclass(frozen=True)
class Outer:
    count: int
    name: str = ""
    on: bool = False
    ratio: float | None = None
    shape: tuple[int, int] = (1, 1)
    words: tuple[str, ...] = ()
    inner: Inner | None = None
    free: dict[str, Any] = field(default_factory=dict)


WRONG = {
    "text for a number": {"count": "3"},
    "a truth for a number": {"count": True},
    "a fraction of a whole": {"count": 1.5},
    "not a number": {"count": 1, "ratio": float("nan")},
    "beyond floats": {"count": 1, "ratio": 10**400},
    "a number for text": {"count": 1, "name": 3},
    "a number for a truth": {"count": 1, "on": 1},
    "too few": {"count": 1, "shape": [1]},
    "text in numbers": {"count": 1, "shape": [1, "2"]},
    "one for many": {"count": 1, "words": "a"},
    "a list for a mapping": {"count": 1, "free": []},
    "a number for settings": {"count": 1, "inner": 3},
    "wrong inside": {"count": 1, "inner": {"size": "large"}},
    "nothing for something": {"count": None},
    "missing": {"name": "a"},
    "missing inside": {"count": 1, "inner": {}},
    "unknown": {"count": 1, "nam": "a"},
    "no text as a name": {"count": 1, 3: 4},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG.keys())
def test_a_value_of_another_type_is_a_sentence(values: dict[Any, Any]) -> None:
    with pytest.raises(SettingsError, match=r"wanted|missing|mean|known"):
        from_document(Outer, values)


def test_a_list_is_no_settings() -> None:
    with pytest.raises(SettingsError, match="found list"):
        from_dict(Outer, [1])  # type: ignore[arg-type]


def test_settings_come_back_from_plain_values() -> None:
    settings = Outer(3, "a", True, 2.0, (4, 5), ("x", "y"), Inner(1.5), {"k": [1]})
    assert from_dict(Outer, to_dict(settings)) == settings
    assert from_dict(Outer, {"count": np.int64(3), "ratio": np.float32(0.5)}) == Outer(3, ratio=np.float32(0.5))
    assert from_dict(Outer, {"count": 1, "inner": {"size": 2}}) == Outer(1, inner=Inner(2))
