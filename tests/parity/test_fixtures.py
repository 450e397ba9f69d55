"""The fixtures are those that the manifest speaks of, small, and free of pickles."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).with_name("fixtures")
MANIFEST = json.loads((FIXTURES / "manifest.json").read_text())


def test_every_file_is_the_one_that_was_made() -> None:
    found = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in FIXTURES.glob("*.npz")}
    assert found == MANIFEST["sha256"]


def test_the_packages_are_the_pinned_ones() -> None:
    for name, package in MANIFEST["packages"].items():
        pins = (Path(__file__).parents[2] / "benchmarks" / "peers" / f"{name}.txt").read_text()
        pinned = package.keys() - {"python", "torch"}
        assert len(pinned) == (3 if name == "cellpose4" else 2)
        for one in pinned:
            assert f"{one}=={package[one]}\n" in pins


def test_they_are_small_and_hold_plain_arrays() -> None:
    assert sum(f.stat().st_size for f in FIXTURES.iterdir()) < 1_600_000
    for file in FIXTURES.glob("*.npz"):
        with np.load(file, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "iufU" for name in arrays)
