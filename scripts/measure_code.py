"""Measure how a package is built, beside what we want of ours. Only the standard library is needed.

    python scripts/measure_code.py [PACKAGE_FOLDER]        # default: bigcell; any other package will do

Tests inside the package are not counted as source. A function's body is its lines without signature and docstring.
Branching is cyclomatic: 1, and 1 more for each `if`, loop, `except`, `case`, condition of a comprehension, `and`, `or`.
A circle is a set of files each of which imports the others, at any depth of their code, type checking apart.
"""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
TEST_FOLDERS = {"tests", "test"}
KNOWN = {"scikit-image": "skimage", "pyyaml": "yaml", "pillow": "PIL", "scikit-learn": "sklearn"}
"""Import names that a distribution's name does not tell, where it is not installed."""


@dataclass(frozen=True)
class Row:
    """One measure: what it is, what we want and what was seen."""

    what: str
    wanted: str
    seen: str
    holds: bool | None = None

    def __str__(self) -> str:
        mark = "" if self.holds is None else "ok" if self.holds else "NOT YET"
        return f"{self.what:<36}{self.wanted:>10}  {self.seen:<14}{mark}".rstrip()


@dataclass(frozen=True)
class Package:
    """The Python files of the package in `folder`, parsed."""

    folder: Path

    @cached_property
    def files(self) -> dict[str, Path]:
        """Every source file by its dotted name."""
        return {dotted(path, self.folder): path for path in sorted(self.folder.rglob("*.py")) if not self._tests(path)}

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.files.items()}

    @cached_property
    def functions(self) -> list[Function]:
        return [node for tree in self.trees.values() for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]

    @property
    def test_files(self) -> list[Path]:
        """Those in the package, and those of a folder `tests` beside it or beside the folder above (src/)."""
        inside = [path for path in self.folder.rglob("*.py") if self._tests(path)]
        beside = [self.folder.parent / "tests", self.folder.parent.parent / "tests"][: 2 if self._in_src else 1]
        return inside + [path for folder in beside for path in folder.rglob("*.py")]

    @property
    def pyproject(self) -> Path:
        return (self.folder.parent.parent if self._in_src else self.folder.parent) / "pyproject.toml"

    @property
    def _in_src(self) -> bool:
        return self.folder.parent.name == "src"

    def _tests(self, path: Path) -> bool:
        return bool(TEST_FOLDERS & set(path.relative_to(self.folder).parts))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs="?", type=Path, default=ROOT / "bigcell", help="folder of a package")
    package = Package(parser.parse_args(arguments).package.resolve())
    if not package.files:
        parser.error(f"{package.folder} holds no Python files, wanted the folder of a package")
    print(f"{package.folder.name}: {len(package.files)} files, {lines(package.files.values())} lines")
    print(f"{'':<36}{'wanted':>10}  seen")
    for row in rows(package):
        print(row)
    for line in details(package):
        print(line)
    return 0


def rows(package: Package) -> list[Row]:
    """The measures in the order in which they are printed."""
    bodies = sorted(body_lines(f) for f in package.functions) or [0]
    branches = sorted(branching(f) for f in package.functions) or [0]
    folders = max(files_by_folder(package).values())
    loops, inner = circles(needs(package)), sum(inner_imports(package).values())
    tests = lines(package.test_files) / max(1, lines(package.files.values()))
    typed = (package.folder / "py.typed").exists()
    unused = unused_dependencies(package)
    return [
        Row("function body, lines: median", "", f"{median(bodies):g}"),
        _at_most("function body, lines: p95", 20, percentile(bodies, 95)),
        Row("function body, lines: longest", "", str(bodies[-1])),
        _at_most("branching: p95", 8, percentile(branches, 95)),
        _at_most("files in the fullest folder", 20, folders),
        _at_most("circles of files", 0, len(loops)),
        _at_most("imports inside functions", 40, inner),
        Row("Any in engine", "JSON only", str(sum(any_by_file(package).values()))),
        Row("test lines per source line", ">= 0.8", *((f"{tests:.2f}", tests >= 0.8) if tests else ("?",))),
        Row("py.typed", "yes", "yes" if typed else "no", typed),
        Row("core dependencies nobody imports", "0", *(("?",) if unused is None else (str(len(unused)), not unused))),
    ]


def details(package: Package) -> Iterator[str]:
    """Names behind the figures that are not as wanted."""
    for loop in circles(needs(package)):
        yield f"circle: {', '.join(loop)}"
    if unused := unused_dependencies(package):
        yield f"imported by no file: {', '.join(unused)}"
    if found := any_by_file(package):
        yield "Any in engine: " + ", ".join(f"{name} {n}" for name, n in found.most_common())


def _at_most(what: str, limit: int, seen: int) -> Row:
    return Row(what, f"<= {limit}" if limit else "0", str(seen), seen <= limit)


def dotted(path: Path, folder: Path) -> str:
    """The name by which `path` is imported; a folder's own file has the folder's."""
    parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def lines(paths: Iterable[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def percentile(values: Sequence[int], q: int) -> int:
    """The least of the sorted `values` that `q` percent of them do not pass.

    >>> percentile([1, 2, 3, 40], 75)
    3
    """
    return values[max(0, -(-len(values) * q // 100) - 1)]


def body_lines(function: Function) -> int:
    """Lines of the body without its docstring; 0 if there is nothing else."""
    first = function.body[0]
    says = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    body = function.body[1:] if says else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def branching(function: Function) -> int:
    """How many ways there are through it; functions inside it count by themselves."""
    found, left = 1, list(ast.iter_child_nodes(function))
    while left:
        node = left.pop()
        if isinstance(node, FUNCTIONS):
            continue
        found += isinstance(node, BRANCHES)
        found += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        found += 1 + len(node.ifs) if isinstance(node, ast.comprehension) else 0
        left += ast.iter_child_nodes(node)
    return found


def files_by_folder(package: Package) -> Counter[Path]:
    """Source files in each folder, `__init__` apart."""
    return Counter(path.parent for path in package.files.values() if path.name != "__init__.py") or Counter([Path()])


def inner_imports(package: Package) -> Counter[str]:
    """Import statements inside functions, by file."""
    found: Counter[str] = Counter()
    for name, tree in package.trees.items():
        functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
        inner = {n for f in functions for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)}
        found.update({name: len(inner)} if inner else {})
    return found


def any_by_file(package: Package) -> Counter[str]:
    """How often the engine's annotations say `Any`, by file."""
    start = f"{package.folder.name}.engine."
    return Counter(
        name.removeprefix(start)
        for name, tree in package.trees.items()
        if name.startswith(start)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "Any"
    )


def needs(package: Package) -> dict[str, set[str]]:
    """The files that each file imports."""
    return {name: set(_imported(package, name)) - {name} for name in package.files}


def _imported(package: Package, name: str) -> Iterator[str]:
    is_folder = package.files[name].name == "__init__.py"
    for node in _run_time(package.trees[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in package.files)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + is_folder] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            below = [f"{module}.{alias.name}" for alias in node.names]
            yield from (n if n in package.files else module for n in below if {n, module} & set(package.files))


def _run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below ``if TYPE_CHECKING``."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        checks = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        left += node.orelse if isinstance(node, ast.If) and checks else ast.iter_child_nodes(node)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The largest sets of files each of which leads to all others of its set.

    >>> circles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [['b', 'c']]
    """
    reached = {name: _reached(graph, name) for name in graph}
    sets = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(loop) for loop in sets if len(loop) > 1)


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    found, left = set[str](), [start]
    while left:
        new = graph.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def unused_dependencies(package: Package) -> list[str] | None:
    """Distributions that pyproject.toml requires and no file imports; None where there is no such list."""
    if not package.pyproject.exists():
        return None
    project = tomllib.loads(package.pyproject.read_text()).get("project", {})
    names = [re.split(r"[^\w.-]", line)[0].lower() for line in project.get("dependencies", [])]
    nodes = [node for tree in package.trees.values() for node in ast.walk(tree)]
    used = {a.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for a in node.names}
    used |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    return [name for name in names if not used & _import_names(name)]


def _import_names(distribution: str) -> set[str]:
    installed = {m for m, owners in packages_distributions().items() if distribution in map(str.lower, owners)}
    return installed or {KNOWN.get(distribution, distribution.replace("-", "_"))}


if __name__ == "__main__":
    raise SystemExit(main())
