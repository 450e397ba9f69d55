"""The user's script. A fresh process runs it once more, to know what it defines; not one that would start all anew."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path


@contextmanager
def script_left_out() -> Iterator[None]:
    """Processes that begin meanwhile do not run the user's script, unless it guards what it does by its ``__name__``.

    What they are sent must then go by its code (`bigcell.core.processes.sending`), or be none of the script's.
    """
    main = sys.modules["__main__"]
    if is_guarded(getattr(main, "__file__", None)):
        yield
        return
    before, main.__spec__ = main.__spec__, ModuleSpec("__main__", None)  # of this name multiprocessing runs nothing
    try:
        yield
    finally:
        main.__spec__ = before


@lru_cache(maxsize=4)
def is_guarded(path: str | None) -> bool:
    """Whether the script at `path` can be run again: there is none, or it is no source, or it asks for its name first.

    A script that cannot be found (of standard input) cannot be run again; nor can one that calls us beside its guard.
    """
    if path is None:
        return True
    try:
        body = ast.parse(Path(path).read_bytes()).body
    except OSError:
        return False
    except (SyntaxError, ValueError):  # an archive, say
        return True
    guards = [part for part in body if _is_guard(part)]
    return bool(guards) and not any(_calls_us(part, _names(body)) for part in body if part not in guards)


def _is_guard(part: ast.stmt) -> bool:
    """Whether it is an ``if __name__ == "__main__":``."""
    names = ast.walk(part.test) if isinstance(part, ast.If) else ()
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in names)


def _names(body: list[ast.stmt]) -> set[str]:
    """What the script calls this package, and what it has of it."""
    found = set()
    for part in body:
        module = part.module or "" if isinstance(part, ast.ImportFrom) else ""
        for alias in part.names if isinstance(part, ast.Import | ast.ImportFrom) else ():
            if (module or alias.name).partition(".")[0] == "bigcell":
                found.add(alias.asname or alias.name.partition(".")[0])
    return found


def _calls_us(part: ast.stmt, names: set[str]) -> bool:
    """Whether it calls something of `names` at once, and not when it is called itself."""
    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    calls = [node.func for node in ast.walk(part) if isinstance(node, ast.Call)]
    return any(isinstance(node, ast.Name) and node.id in names for call in calls for node in ast.walk(call))
