"""_seg.npy files: those of Cellpose are read, hostile ones are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigcell.core.errors import InputError
from bigcell.io.formats.seg_npy import read_seg

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize("release", ["cellpose3", "cellpose4"])
def test_masks_that_cellpose_saved(release: str) -> None:
    """scripts/parity/seg_files.py made both, with Cellpose's own `masks_flows_to_seg`."""
    masks = read_seg(FIXTURES / f"{release}_seg.npy")
    wanted = np.zeros((24, 32), int)
    wanted[2:10, 3:12], wanted[10:20, 3:12], wanted[5:15, 20:30] = 1, 2, 3
    assert np.array_equal(masks, wanted)


def saved(path: Path, value: object) -> Path:
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return path


def test_a_stack_of_masks(tmp_path: Path) -> None:
    masks = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    found = read_seg(saved(tmp_path / "a_seg.npy", {"masks": masks, "filename": "a.tif", "flows": [[], masks]}))
    assert found.dtype == np.uint16
    assert np.array_equal(found, masks)


class Command:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"outlines": np.ones((3, 3))}, "a dict without 'masks'"),
        ([1, 2], "wanted what Cellpose saves"),
        ({"masks": Command()}, "might run code"),
        ({"masks": np.ones((3, 3))}, "wanted integers"),
        ({"masks": np.ones(3, int)}, "wanted integers"),
        ({"masks": None}, "a NoneType where an array"),
    ],
)
def test_others_are_refused(value: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"b_seg\.npy.*{told}"):
        read_seg(saved(tmp_path / "b_seg.npy", value))
