"""What must not be broken off, and what Ctrl-C does not reach."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bigcell
from bigcell.core.processes.interrupts import shielded, undisturbed


def test_a_signal_comes_afterwards() -> None:
    done = list[str]()

    def work() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("half")
            done.append("whole")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["half", "whole"]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system has no signal masks")
def test_ctrl_c_does_not_reach_what_begins_shielded() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('on')"
    with shielded():
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.communicate()[0] == "on\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_compiled_loops_let_go_of_python() -> None:
    """Else nothing could end a process, or tell that it lives, while one runs."""
    loops = [
        (path.name, node.name, decorator)
        for path in Path(bigcell.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("njit")
    ]
    assert len(loops) > 40
    kept = {"nogil", "inline"}  # what is put into others as it is needs nothing of its own
    assert [(file, name) for file, name, d in loops if not kept & {k.arg for k in d.keywords}] == []
