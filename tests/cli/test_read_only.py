"""Sources that may only be read, places that may not be written, runs of somebody else: another account tries it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import bigcell
from bigcell import api
from bigcell.core.box import Box
from bigcell.core.errors import BlockError, InputError, OutputError
from bigcell.engine.pipeline import failures
from bigcell.engine.runs.find_run import read_status
from bigcell.io.ngff import unreadable_chunks
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can take the place of another account"
)
NOBODY = 65534
WORDS: dict[str, Any] = {"block": (12, 36, 22), "cluster": "serial", "report": False}


@contextmanager
def nobody() -> Iterator[None]:
    """As an account that owns nothing. What is compiled is compiled: nothing of it is to be saved."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that anybody may read, with a folder `theirs` of the other account."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "theirs").mkdir()
    os.chown(folder / "theirs", NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def source(place: Path, store: Callable[..., Path]) -> Path:
    (place / "source").mkdir()
    lattice = FlowLattice((12, 36, 44), diameter=12, noise=0.5)
    return store(place / "source" / "flows.zarr", lattice.read(Box.of(lattice.extent)), levels=2, spacing=0.5)


@pytest.fixture
def plain(place: Path, source: Path) -> dict[str, bytes]:
    """What the owner makes of it; all code is compiled afterwards."""
    return files_of(Path(str(bigcell.segment(flows=source, output=place / "plain.zarr", **WORDS).path)))


def cut(monkeypatch: pytest.MonkeyPatch, **words: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(api, "choose_executor", lambda *_: Stopping(1))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(**words, **WORDS)


def test_a_source_that_may_only_be_read(
    monkeypatch: pytest.MonkeyPatch, place: Path, source: Path, plain: dict[str, bytes]
) -> None:
    before, out = files_of(source), place / "theirs" / "out.zarr"
    with nobody():
        cut(monkeypatch, flows=source, output=out)
        resumed = bigcell.resume(out, cluster="serial")
    assert files_of(Path(str(resumed.path))) == plain
    assert files_of(source) == before
    assert sorted(p.name for p in source.parent.iterdir()) == ["flows.zarr"]


PLACES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "the store of the source": lambda place: {},
    "its labels, work elsewhere": lambda place: {"work": place / "theirs"},
    "another store": lambda place: {"output": place / "source" / "out.zarr"},
    "another store, work elsewhere": lambda place: {"output": place / "source" / "out.zarr", "work": place / "theirs"},
    "work": lambda place: {"output": place / "theirs" / "out.zarr", "work": place / "source"},
}


@pytest.mark.parametrize("which", PLACES)
def test_places_that_may_not_be_written(which: str, place: Path, source: Path, plain: dict[str, bytes]) -> None:
    with nobody(), pytest.raises(OutputError, match=r"(cannot write to|cannot be written).*[Pp]ermission denied"):
        bigcell.segment(flows=source, **PLACES[which](place), **WORDS)
    assert sorted(p.name for p in source.parent.iterdir()) == ["flows.zarr"]


def test_voxels_that_may_not_be_read_are_named_and_can_be_allowed(
    monkeypatch: pytest.MonkeyPatch, place: Path, source: Path, plain: dict[str, bytes]
) -> None:
    monkeypatch.setattr(failures, "WAIT", 0.0)
    monkeypatch.setattr(unreadable_chunks, "WAIT", 0.0)
    chunk, out = source / "0/c/0/0/1/1", place / "theirs" / "out.zarr"
    chunk.chmod(0)
    with nobody(), pytest.raises(BlockError, match=r"chunk \(0, 0, 1, 1\) .* cannot be read.*Permission denied"):
        bigcell.segment(flows=source, output=out, **WORDS)
    chunk.chmod(0o644)
    with nobody():
        resumed = bigcell.resume(out, cluster="serial")
    assert files_of(Path(str(resumed.path))) == plain
    source.chmod(0)
    with nobody(), pytest.raises(InputError, match=r"Permission denied.*check the address, the permissions"):
        bigcell.segment(flows=source, output=place / "theirs" / "more.zarr", **WORDS)
    source.chmod(0o755)


def test_a_run_of_somebody_else_is_not_disturbed(
    monkeypatch: pytest.MonkeyPatch, place: Path, source: Path, plain: dict[str, bytes]
) -> None:
    out = place / "out.zarr"
    cut(monkeypatch, flows=source, output=out)
    for look in (read_status, bigcell.resume):
        with nobody(), pytest.raises(OutputError, match=r"may be looked into by its owner alone: permission denied"):
            look(out)
    with nobody(), pytest.raises(OutputError, match=r"[Pp]ermission denied"):
        bigcell.segment(flows=source, output=out, overwrite=True, **WORDS)
    assert read_status(out).state == "stopped"
    assert files_of(Path(str(bigcell.resume(out, cluster="serial").path))) == plain
