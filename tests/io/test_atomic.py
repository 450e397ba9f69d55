from __future__ import annotations

from pathlib import Path

import pytest

from bigcell.core.errors import OutputError
from bigcell.io.atomic import whole_file


def test_a_file_takes_the_place_of_another_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with whole_file(path) as fresh:
        fresh.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("full"), RuntimeError("full")])
def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write() -> None:
        with whole_file(path, RuntimeError) as fresh:
            fresh.write_text("ne")
            raise error

    with pytest.raises(OutputError, match=r"file\.txt cannot be written \(full\)"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
