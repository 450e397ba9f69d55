"""The shelves: imports point down only, and who may import what. The single written form of that table."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bigcell

ROOT = Path(bigcell.__file__).parent

# Low to high. Folders in one row do not import each other. Evaluation runs its blocks on executors, so it stands above
# engine.runtime; a report tells of plans and stages.
SHELVES: list[set[str]] = [
    {"core"},
    {"io", "tiling", "preprocess", "networks", "metrics", "provenance", "synthetic"},
    {"flows", "stitch"},
    {"dynamics"},
    {"engine.runtime"},
    {"evaluation"},
    {"engine.planning"},
    {"engine.tasks"},
    {"engine.pipeline"},
    {"report"},
    {"engine.runs"},
    {"training"},
    {"cluster", "testing"},
    {"api"},
    {"viewers"},
    {"cli"},
    {"__main__"},
]
SHELF = {name: level for level, row in enumerate(SHELVES) for name in row}

# Heavy or worldly packages, and the only folders that may know them.
ONLY_IN = {
    "torch": {"networks", "flows", "dynamics", "training"},
    "dask": {"cluster"},
    "distributed": {"cluster"},
    "zarr": {"io", "testing"},
    "obstore": {"io", "testing"},
    "botocore": {"io"},
    "tifffile": {"io"},
    "pyarrow": {"io"},
    "neuroglancer": {"viewers"},
    "matplotlib": {"viewers"},
    "typer": {"cli"},
    "tqdm": {"cli"},
}

MODULES = {".".join(p.relative_to(ROOT.parent).with_suffix("").parts): p for p in sorted(ROOT.rglob("*.py"))}
"""Every file of the package by its dotted name; that of a folder ends in ``__init__``."""


def room(name: str) -> str:
    """The room that a module belongs to: its folder, or below engine the folder in that; a file of the top itself."""
    first, *others = name.removeprefix("bigcell.").removesuffix(".__init__").split(".")
    return f"{first}.{others[0]}" if first == "engine" and others else first


def imported(path: Path) -> list[str]:
    """Every module that `path` imports, at any depth of its code."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively; write the whole name"
            assert node.module is not None
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if name in MODULES or f"{name}.__init__" in MODULES else node.module for name in below]
    return names


IMPORTED = {name: imported(path) for name, path in MODULES.items()}
OURS = {name: {n for n in names if n in MODULES} - {name} for name, names in IMPORTED.items()}


@pytest.mark.parametrize("module", [name for name in MODULES if name != "bigcell.__init__"])
def test_imports_point_down(module: str) -> None:
    here = room(module)
    assert here in SHELF or here == "engine", f"{here} stands on no shelf"
    for name in IMPORTED[module]:
        package, _, rest = name.partition(".")
        if package == "bigcell" and rest and room(name) != here:
            assert SHELF[room(name)] < SHELF[here], f"{module} imports {name}, which is not below {here}"
        if package in ONLY_IN:
            assert here.partition(".")[0] in ONLY_IN[package], f"{module} imports {package}"


def test_no_files_import_each_other_in_a_circle() -> None:
    left = dict(OURS)
    while free := [name for name, needs in left.items() if not needs & set(left)]:
        for name in free:
            del left[name]
    assert not left, f"these files are in a circle, or need one: {sorted(left)}"


def test_every_folder_stands_on_a_shelf_and_every_shelf_has_one() -> None:
    rooms = {room(name) for name in MODULES} - {"bigcell", "__init__", "engine"}
    assert rooms == set(SHELF)


def test_nothing_is_allowed_that_nobody_imports() -> None:
    used = {(n.partition(".")[0], room(name).partition(".")[0]) for name, names in IMPORTED.items() for n in names}
    allowed = {(package, folder) for package, folders in ONLY_IN.items() for folder in folders}
    assert not sorted(allowed - used)
