"""Put down the names of the arguments of released Cellpose packages, and nothing else of them: cellpose_names.json.

    python scripts/cellpose_names.py 2.3.2 3.1.1.3 4.2.1.1

The packages are downloaded and parsed; nothing of them is installed or run.
tests/core/test_unknown_options.py reads the file.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

FILE = Path(__file__).parents[1] / "tests" / "core" / "cellpose_names.json"
CLASSES = ("Cellpose", "CellposeModel")
METHODS = ("__init__", "eval", "train")


def main(versions: list[str]) -> None:
    FILE.write_text(json.dumps({version: names_in(version) for version in versions}, indent=1) + "\n")


def names_in(version: str) -> dict[str, list[str]]:
    """The arguments of its models, of its training and of its command line."""
    with TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"cellpose=={version}"]
        subprocess.run(words, check=True)
        with ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            sources = [n for n in wheel.namelist() if n in {f"cellpose/{m}.py" for m in ("models", "train", "cli")}]
            trees = [ast.parse(wheel.read(name)) for name in sources]
    return {name: found for tree in trees for name, found in arguments(tree)}


def arguments(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """What is called, and the names that it takes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in CLASSES:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name in METHODS:
                    yield f"{node.name}.{method.name}", named(method)
        if isinstance(node, ast.FunctionDef) and node.name == "train_seg":
            yield node.name, named(node)
    flags = [call.args[0] for call in ast.walk(tree) if isinstance(call, ast.Call) and _adds(call)]
    if flags:
        yield "command line", sorted(str(f.value).lstrip("-") for f in flags if isinstance(f, ast.Constant))


def named(function: ast.FunctionDef) -> list[str]:
    """The names of its arguments."""
    return sorted({a.arg for a in function.args.args + function.args.kwonlyargs} - {"self"})


def _adds(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"


if __name__ == "__main__":
    main(sys.argv[1:])
