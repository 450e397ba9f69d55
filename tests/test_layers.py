"""The shelves: imports point down only, and who may import what. The single written form of that table."""

from __future__ import annotations

import ast
import re
import tomllib
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
    "jinja2": {"report"},
    "PIL": {"report"},
    "ome_zarr": {"io"},
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


def circle(needs: dict[str, set[str]]) -> list[str]:
    """What is left of `needs` once everything that stands on firm ground is taken away."""
    left = dict(needs)
    while free := [name for name, below in left.items() if not below & set(left)]:
        for name in free:
            del left[name]
    return sorted(left)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert not circle(OURS), "these files are in a circle, or need one"


def folder(name: str) -> str:
    """The inner room of a module, as ``bigcell.io.ngff``; a file that lies in none is one by itself."""
    return name.rpartition(".")[0] if name.count(".") > 2 else name


def test_no_inner_rooms_import_each_other_in_a_circle() -> None:
    needs: dict[str, set[str]] = {}
    for name, below in OURS.items():
        needs.setdefault(folder(name), set()).update({folder(n) for n in below} - {folder(name)})
    assert not circle(needs), "these rooms are in a circle, or need one"


def test_no_folder_holds_more_than_twenty_files() -> None:
    folders = [path.parent for name, path in MODULES.items() if not name.endswith("__init__")]
    assert {f"{path.relative_to(ROOT)}": folders.count(path) for path in set(folders) if folders.count(path) > 20} == {}


def test_every_folder_stands_on_a_shelf_and_every_shelf_has_one() -> None:
    rooms = {room(name) for name in MODULES} - {"bigcell", "__init__", "engine"}
    assert rooms == set(SHELF)


def test_nothing_is_allowed_that_nobody_imports() -> None:
    used = {(n.partition(".")[0], room(name).partition(".")[0]) for name, names in IMPORTED.items() for n in names}
    allowed = {(package, folder) for package, folders in ONLY_IN.items() for folder in folders}
    assert not sorted(allowed - used)


MODULE = {"ome-zarr": "ome_zarr", "pillow": "PIL"}
"""What is imported of a package whose name is another."""
NOT_BY_US = {"cryptography"}
"""distributed makes the certificates of a run by it."""


def test_every_dependency_is_imported() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    wanted = [re.split(r"[<>=;\[ ]", line)[0] for line in project["dependencies"]]
    used = {name.partition(".")[0] for names in IMPORTED.values() for name in names}
    assert {name for name in wanted if MODULE.get(name, name) not in used} == NOT_BY_US
