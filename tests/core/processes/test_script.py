"""A script with workers needs no main guard, and one that has it is known to its workers."""

from __future__ import annotations

import subprocess
import sys
from multiprocessing.spawn import get_preparation_data
from pathlib import Path
from textwrap import dedent

import pytest

from bigcell.core.processes.script import is_guarded, script_left_out

GUARDED = [
    'if __name__ == "__main__":\n    import bigcell\n    bigcell.segment("a.zarr")\n',
    'import bigcell\n\ndef main():\n    bigcell.segment("a.zarr")\n\nif "__main__" == __name__:\n    main()\n',
    'import codecs\ncodecs.register(print)\nif __name__ == "__main__" and True:\n    pass\n',
    'from bigcell import segment\nprint("a")\nclass A:\n    b = 1\nif __name__ == "__main__":\n    segment("a.zarr")\n',
    "this is no source",
]
UNGUARDED = [
    'import bigcell\nbigcell.segment("a.zarr", workers=2)\n',
    'import bigcell as b\nfor path in ["a.zarr"]:\n    b.segment(path)\n',
    'from bigcell import segment as s\nwith open("a") as f:\n    print(s(f.read()).objects)\n',
    "def main():\n    pass\n\nmain()\n",
    'import logging\nlogging.getLogger(__name__)\nimport bigcell\nprint(bigcell.train("a", "b", workers=3).model)\n',
    'import bigcell.api as api\nr = api.resume("a.zarr")\nif __name__ == "__main__":\n    print(r)\n',
]


@pytest.mark.parametrize("source", GUARDED)
def test_scripts_that_can_be_run_again(source: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(source)
    assert is_guarded(str(tmp_path / "script.py"))


@pytest.mark.parametrize("source", UNGUARDED)
def test_scripts_that_would_start_all_anew(source: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(source)
    assert not is_guarded(str(tmp_path / "script.py"))


def test_no_script_and_standard_input() -> None:
    assert is_guarded(None)
    assert not is_guarded("<stdin>")


def told(monkeypatch: pytest.MonkeyPatch, script: Path) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)


def test_a_process_is_told_of_a_guarded_script_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, source in (("good", GUARDED[0]), ("bad", UNGUARDED[0])):
        (tmp_path / f"{name}.py").write_text(source)
    told(monkeypatch, tmp_path / "good.py")
    with script_left_out():
        assert get_preparation_data("a")["init_main_from_path"] == str(tmp_path / "good.py")
    told(monkeypatch, tmp_path / "bad.py")
    with script_left_out():
        assert "init_main_from_path" not in get_preparation_data("a")
        assert get_preparation_data("a")["init_main_from_name"] == "__main__"  # which is never run
    assert get_preparation_data("a")["init_main_from_path"] == str(tmp_path / "bad.py")


def test_dasks_workers_are_told_the_same_as_long_as_they_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bigcell.cluster.closed import LocalWorkers

    (tmp_path / "bad.py").write_text(UNGUARDED[0])
    told(monkeypatch, tmp_path / "bad.py")
    cluster = LocalWorkers(0)
    try:
        assert get_preparation_data("a")["init_main_from_name"] == "__main__"
    finally:
        cluster.close()
    assert "init_main_from_name" not in get_preparation_data("a")


SCRIPT = """
    from bigcell.engine.runtime.executors import ProcessExecutor

    class Own:  # known to this script alone
        def __call__(self, number):
            return number + 1

    print("once")
    executor = ProcessExecutor(2)
    print(sorted(executor.map(Own(), [1, 2, 3])))
    executor.close()
"""


@pytest.mark.parametrize("way", ["path", "module", "standard input"])
def test_a_script_without_a_guard_runs_once(way: str, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(dedent(SCRIPT))
    words = {"path": ["plain.py"], "module": ["-m", "plain"], "standard input": ["-"]}[way]
    with (tmp_path / "plain.py").open() as script:
        run = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            stdin=script,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (run.stdout, run.stderr) == ("once\n[2, 3, 4]\n", "")
