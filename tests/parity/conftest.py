"""What the released Cellpose packages answer: made by scripts/make_parity.py, read here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

FIXTURES = Path(__file__).with_name("fixtures")
Answers = Callable[[str], dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def answers() -> Answers:
    """The arrays of one fixture file, by its name without ending."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return read
