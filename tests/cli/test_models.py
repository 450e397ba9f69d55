"""`bigcell models`: the list, the fetch, the facts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from bigcell.cli.app import app
from bigcell.networks import catalogue
from bigcell.networks.cache import sha256_of
from bigcell.networks.catalogue import Entry, RemoteFile
from bigcell.networks.cpnet import CPnet
from bigcell.networks.sam_vit import CellposeSAM, SamSizes


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["models", *(str(w) for w in words)])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIGCELL_MODELS", str(tmp_path / "cache"))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "cellpose"))
    monkeypatch.delenv("BIGCELL_OFFLINE", raising=False)
    return tmp_path / "cache"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is its own."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model "tiny" that a server on this machine publishes; its file."""
    folder = tmp_path / "site"
    folder.mkdir()
    torch.save(CPnet([2, 4, 8]).state_dict(), folder / "tiny")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    file = RemoteFile("tiny", f"http://127.0.0.1:{server.server_address[1]}/tiny")
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", Entry("tiny", "CPnet", "a small one", file, diameter=25))
    yield folder / "tiny"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_verbs_are_told() -> None:
    for result in (call(), call("--help")):
        assert result.exit_code == 0
        assert all(f"\n  {verb} " in result.stdout for verb in ("list", "fetch", "info"))


def test_list_tells_name_place_kind_and_terms(cache: Path) -> None:
    cache.mkdir()
    (cache / "CPx").write_bytes(b"")
    lines = call("list").stdout.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["nuclei"][1:4] == ["here", "CPnet", "BSD-3-Clause"]
    assert rows["cpsam"][1:4] == ["-", "Cellpose-SAM", "non-commercial"]
    assert rows["cpdino-vitb"][1:4] == ["-", "Cellpose-DINO", "non-commercial"]
    assert any("cpdino-vitb" in line and "DINOv3 License" in line for line in lines)
    assert rows["CPx"][1] == "here"
    assert any("CC BY-NC" in line for line in lines)
    assert str(cache) in lines[-1]


def test_fetch_then_info(published: Path, cache: Path) -> None:
    before = call("info", "tiny")
    assert "not on this machine: `bigcell models fetch tiny`" in before.stdout
    result = call("fetch", "tiny")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{cache / 'tiny'}\n"
    assert "non-commercial" in result.stderr
    assert sha256_of(cache / "tiny") == sha256_of(published)
    told = call("info", "tiny").stdout
    assert sha256_of(published) in told
    assert "25 pixels" in told
    assert "non-commercial" in told
    assert call("fetch", "tiny", "--offline").exit_code == 0


def test_info_names_the_terms_of_dinov3() -> None:
    told = call("info", "cpdino").stdout
    assert "DINOv3 License" in told
    assert "1214 MB, SHA-256 fad0dda26255" in told


def test_offline_is_an_error_that_says_what_to_do(published: Path) -> None:
    result = call("fetch", "tiny", "--offline")
    assert result.exit_code == 2
    assert "offline" in result.stderr
    assert result.stdout == ""


def test_unknown_names() -> None:
    result = call("fetch", "cyto3", "nix", "--offline")
    assert result.exit_code == 2
    assert "nix: no published model" in result.stderr
    assert "did you mean 'cpsam'" in call("info", "cpsm").stderr


def test_info_of_a_file(tmp_path: Path) -> None:
    torch.save(CPnet([1, 4, 8], diam_mean=12.5).state_dict(), tmp_path / "mine.pt")
    told = call("info", tmp_path / "mine.pt").stdout
    for part in ("mine.pt", "CPnet, 0.0 million", "12.5 pixels", "multiples of 2 pixels"):
        assert part in told
    sizes = SamSizes(4, 4, width=12, heads=3, hidden=20, neck=5, spans=(7,))
    torch.save(CellposeSAM(sizes).state_dict(), tmp_path / "sam.pt")
    told = call("info", tmp_path / "sam.pt").stdout
    assert "Cellpose-SAM" in told
    assert "16 x 16 pixels" in told


def test_info_of_what_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "page.pt"
    path.write_bytes(b"<html>")
    result = call("info", path)
    assert result.exit_code == 2
    assert "is not a PyTorch checkpoint" in result.stderr
    assert len(result.stderr.splitlines()) == 1
