"""Who has no certificate of the run reaches nothing of it: not its scheduler, nor a nanny, nor a worker."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import connect
from distributed.security import Security

from bigcell.cluster.choose import check_watched
from bigcell.cluster.dask import DaskExecutor

WORKERS = 2
SOCKETS = 1 + 2 * WORKERS
"""A scheduler; of each worker, itself and its nanny."""


Door = tuple[str, int]


@pytest.fixture(scope="module")
def others() -> set[Door]:
    """What listened before: servers of other tests in this process."""
    return set(listening())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, others: set[Door]) -> Iterator[DaskExecutor]:
    """Workers that are watched for a performance report, which dask draws with what draws its pages."""
    pytest.importorskip("bokeh", reason="bokeh is not installed: pip install 'bigcell[report]'")
    path = check_watched("local", tmp_path_factory.mktemp("report") / "dask.html")
    with closing(DaskExecutor.local(WORKERS, watched=path)) as executor:
        list(executor.map(abs, range(4)))
        yield executor


@pytest.fixture
def doors(run: DaskExecutor, others: set[Door]) -> list[Door]:
    """What listens because of the run."""
    return [door for door in listening() if door not in others]


def listening() -> list[Door]:
    """Addresses that this process and all that it started listen at."""
    here = psutil.Process()
    found = [c for p in (here, *here.children(recursive=True)) for c in p.net_connections("inet")]
    return [(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN]


async def identity(address: str, **how: Any) -> Any:
    """What a server of dask answers who asks for its name."""
    comm = await connect(address, timeout=2, **how)
    try:
        await comm.write({"op": "identity"})
        return await comm.read()
    finally:
        comm.abort()


def test_nothing_listens_but_dasks_own_protocol_on_loopback(doors: list[Door]) -> None:
    assert len(doors) == SOCKETS
    assert {host for host, _ in doors} == {"127.0.0.1"}


@pytest.mark.parametrize("stranger", ["tcp", "tls"])
def test_nobody_gets_in_without_the_certificate(run: DaskExecutor, doors: list[Door], stranger: str) -> None:
    """Neither in the clear nor with a certificate of another run."""
    how = {} if stranger == "tcp" else Security.temporary().get_connection_args("client")
    for host, port in doors:
        with pytest.raises(OSError):
            asyncio.run(identity(f"{stranger}://{host}:{port}", **how))
    assert list(run.map(abs, [-1])) == [1], "and the run goes on"


def test_the_certificate_of_the_run_opens_every_door(run: DaskExecutor, doors: list[Door]) -> None:
    (cluster,) = run._owned
    how = cluster.security.get_connection_args("client")
    kinds = {asyncio.run(identity(f"tls://{host}:{port}", **how))["type"] for host, port in doors}
    assert kinds == {"ClosedScheduler", "Nanny", "ClosedWorker"}


def test_nobody_is_told_anything_over_http(doors: list[Door]) -> None:
    for address in doors:
        with socket.create_connection(address, timeout=5) as line:
            line.sendall(b"GET /info/main/workers.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = b""
            with suppress(ConnectionError):
                said = line.recv(100)
            assert b"HTTP" not in said


def path_of_worker(_: int) -> list[str]:
    return sys.path


def test_dask_adds_no_folder_to_the_path_that_others_write_to(run: DaskExecutor) -> None:
    """A module that somebody plants there would be imported."""
    added = [Path(p) for p in {*sys.path, *next(iter(run.map(path_of_worker, [0])))} if "dask-scratch-space" in p]
    assert added
    for folder in added:
        private = next(p for p in (folder, *folder.parents) if p.name.startswith("bigcell-"))
        assert private.stat().st_mode & 0o777 == 0o700
        assert private.stat().st_uid == os.getuid()


def test_nothing_stays_in_the_folder_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(DaskExecutor.local(1)) as executor:
        assert list(executor.map(abs, [-1])) == [1]
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
