"""What `import bigcell` promises, and what it must not cost."""

from __future__ import annotations

import doctest
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import bigcell

MODULES = [m.name for m in pkgutil.walk_packages(bigcell.__path__, "bigcell.")]


def test_the_list_of_names_is_what_it_was() -> None:
    assert set(bigcell.__all__) == set(bigcell._HOME)
    assert bigcell.__all__ == [
        "BigcellError", "Plan", "Result", "convert", "evaluate", "flows_from_labels", "link_planes", "masks",
        "masks_from_flows", "open_volume", "plan",
        "rerun", "resume", "segment", "train", "view",
    ]  # fmt: skip


@pytest.mark.parametrize("name", bigcell.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    thing = getattr(bigcell, name)
    assert thing.__doc__
    assert name in dir(bigcell)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'segmnt'"):
        bigcell.segmnt  # noqa: B018


def test_import_pulls_in_nothing_heavy() -> None:
    heavy = "('torch', 'dask', 'zarr', 'numba', 'neuroglancer')"
    code = f"import sys, bigcell; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    if name.endswith("_triton"):
        pytest.importorskip("triton", reason="Triton is not installed; it comes with torch for CUDA")
    module = import_module(name)
    assert module.__doc__, f"{name} does not say what lives in it"
    assert doctest.testmod(module).failed == 0
