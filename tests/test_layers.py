"""The shelves: imports point down only, and who may import what. The single written form of that table."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bigcell

ROOT = Path(bigcell.__file__).parent

# Low to high. Folders in one row do not import each other.
SHELVES: list[set[str]] = [
    {"core"},
    {"io", "tiling", "preprocess", "networks", "metrics", "provenance", "report", "synthetic"},
    {"flows", "stitch"},
    {"dynamics"},
    {"segmenters", "restoration"},
    {"engine", "training"},
    {"cluster", "testing"},
    {"api"},
    {"viewers"},
    {"cli"},
    {"__main__"},
]
SHELF = {name: level for level, row in enumerate(SHELVES) for name in row}

# Heavy or worldly packages, and the only folders that may know them.
ONLY_IN = {
    "torch": {"networks", "flows", "dynamics", "segmenters", "restoration", "training"},
    "dask": {"cluster"},
    "distributed": {"cluster"},
    "zarr": {"io", "testing"},
    "fsspec": {"io"},
    "obstore": {"io", "testing"},
    "botocore": {"io"},
    "tifffile": {"io"},
    "pyarrow": {"io"},
    "ome_zarr": {"io"},
    "neuroglancer": {"viewers"},
    "napari": {"viewers"},
    "qtpy": {"viewers"},
    "matplotlib": {"viewers"},
    "pydantic": {"io", "provenance", "cli"},
    "typer": {"cli"},
    "tqdm": {"cli"},
}

MODULES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def room(path: Path) -> str:
    """The folder (or top-level module) of the package that `path` belongs to."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> list[str]:
    """Every module that `path` imports, at any depth of its code."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively; write the whole name"
            names.append(node.module or "")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    assert here in SHELF, f"{here} stands on no shelf"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "bigcell" and len(parts) > 1 and parts[1] != here:
            assert SHELF[parts[1]] < SHELF[here], f"{path.relative_to(ROOT)} imports {name}, which is not below {here}"
        if parts[0] in ONLY_IN:
            assert here in ONLY_IN[parts[0]], f"{path.relative_to(ROOT)} imports {parts[0]}"


def test_every_folder_stands_on_a_shelf() -> None:
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders <= set(SHELF)
