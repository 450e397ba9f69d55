"""Where models lie, and that they are still what they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigcell.core.errors import ModelError
from bigcell.networks.cache import (
    cache_folder,
    cellpose_folder,
    check_sha256,
    locate,
    record,
    recorded_sha256,
    sha256_of,
)
from bigcell.networks.catalogue import RemoteFile

FILE = RemoteFile("net", "https://nowhere.invalid/net")


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BIGCELL_MODELS", "CELLPOSE_LOCAL_MODELS_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder().parts[-2:] == ("bigcell", "models")
    assert cellpose_folder() == Path.home() / ".cellpose" / "models"
    monkeypatch.setenv("BIGCELL_MODELS", str(tmp_path))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "b"))
    assert (cache_folder(), cellpose_folder()) == (tmp_path, tmp_path / "b")


def test_our_own_cache_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, folder in (("BIGCELL_MODELS", "a"), ("CELLPOSE_LOCAL_MODELS_PATH", "b")):
        monkeypatch.setenv(name, str(tmp_path / folder))
        (tmp_path / folder).mkdir()
    assert locate(FILE) is None
    for folder in ("b", "a"):
        (tmp_path / folder / "net").write_bytes(b"x")
        assert locate(FILE) == tmp_path / folder / "net"


def test_the_record_is_that_of_sha256sum(tmp_path: Path) -> None:
    path = tmp_path / "net"
    path.write_bytes(b"abc")
    assert sha256_of(path).startswith("ba7816bf")
    assert recorded_sha256(path) == ""
    for text, found in (("BA" * 32 + "  net\n", "ba" * 32), ("short  net", ""), ("", "")):
        record(path).write_text(text)
        assert recorded_sha256(path) == found
    record(path).write_bytes(b"\xff\xfe")
    assert recorded_sha256(path) == ""


def test_hashes_are_held_to(tmp_path: Path) -> None:
    path, a, b = tmp_path / "net", "a" * 64, "b" * 64
    check_sha256(FILE, path, a)
    check_sha256(RemoteFile("net", FILE.url, a, 1), path, a)
    with pytest.raises(ModelError, match="published is aaaaaaaaaaaa"):
        check_sha256(RemoteFile("net", FILE.url, a, 1), path, b)
    record(path).write_text(f"{a}  net")
    check_sha256(FILE, path, a)
    with pytest.raises(ModelError, match="first download is aaaaaaaaaaaa"):
        check_sha256(FILE, path, b)
