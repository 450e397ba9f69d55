"""Where a run works: beside its store, under the one name that its labels have, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigcell.core.errors import InputError, OutputError
from bigcell.engine.runs.ended import finished
from bigcell.engine.runs.find_run import find_run, read_status
from bigcell.engine.runs.work_folder import work_folder


def test_a_name_is_the_same_however_its_accent_is_typed() -> None:
    assert work_folder("o.zarr", "ce\u0301lulas") == work_folder("o.zarr", "c\u00e9lulas")


@pytest.mark.parametrize("name", ["../../x", "plan.json", "a/b", "a" * 201, "\0"])
def test_no_door_takes_a_name_that_no_run_could_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"wanted|cannot name"):
        work_folder(tmp_path / "o.zarr", name)
    with pytest.raises(OutputError, match=r"wanted|cannot name"):
        read_status(tmp_path / "o.zarr", name)
    with pytest.raises(OutputError, match=r"wanted|cannot name"):
        finished(tmp_path / "o.zarr", name)


def test_the_current_folder_is_a_store_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "o.zarr").mkdir()
    monkeypatch.chdir(tmp_path / "o.zarr")
    assert work_folder(".", "cells") == tmp_path / "o.zarr.bigcell" / "cells"
    assert work_folder("/", "cells") == Path("/.bigcell/cells")
    assert find_run("/", "cells", None)[1] == "cells"


def test_a_folder_to_work_in_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for work in (tmp_path / "circle", "~nosuch", "a\0b", "s3://bucket/x"):
        with pytest.raises(InputError, match=r"give|write|check|wanted"):
            work_folder("o.zarr", "cells", work)
