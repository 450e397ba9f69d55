from __future__ import annotations

from pathlib import Path

import pytest

from bigcell.core.errors import OutputError
from bigcell.io.atomic import replace_file, whole_file, write_bytes, write_text


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


def test_text_is_written_in_utf_8(tmp_path: Path) -> None:
    assert (
        write_text(tmp_path / "a.txt", "3 µm\n").read_bytes()
        == write_bytes(tmp_path / "b", b"3 \xc2\xb5m\n").read_bytes()
    )


@pytest.mark.parametrize("beside", [None, "parts"])
def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: str | None
) -> None:
    path = tmp_path / "parts" / "file.txt"
    path.parent.mkdir()
    near = tmp_path / beside if beside else None
    replace_file(path, b"old", beside=near)
    seen: list[Path] = []

    def refuse(fresh: Path, _: Path) -> None:
        seen.append(fresh)
        assert fresh.read_bytes() == b"new"
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.replace", refuse)
        with pytest.raises(OSError, match="No space left"):
            replace_file(path, b"new", beside=near)
    assert [fresh.parent for fresh in seen] == [tmp_path if beside else path.parent]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert path.read_bytes() == b"old"
