"""Downloads: resumed, checked, whole or not at all; against a server on this machine."""

from __future__ import annotations

import errno
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from bigcell.core.errors import ModelError, OutputError
from bigcell.networks import fetch as module
from bigcell.networks.cache import record, sha256_of
from bigcell.networks.catalogue import Entry, RemoteFile
from bigcell.networks.cpnet import CPnet
from bigcell.networks.fetch import fetch


def _network() -> bytes:
    torch.manual_seed(0)
    out = io.BytesIO()
    torch.save(CPnet([2, 8, 16]).state_dict(), out)
    return out.getvalue()


CONTENT = _network()


@dataclass
class Server:
    """What the server holds, how it behaves, and what it was asked for."""

    port: int = 0
    content: bytes = CONTENT
    tag: str = '"one"'
    ranges: bool = True
    length: bool = True
    cut: int = 0  # bytes after which a connection breaks; 0: never
    breaks: int = 0  # how many connections break so
    status: int = 200
    to: str = ""
    sent: dict[str, str] = field(default_factory=dict)  # headers that replace those that are true
    endless: bool = False
    drip: float = 0.0  # seconds between bytes
    asked: list[str] = field(default_factory=list)

    def entry(self, **known: Any) -> Entry:
        file = RemoteFile("net", f"http://127.0.0.1:{self.port}/net", **known)
        return Entry("net", "CPnet", "a test", file)


def _answer(handler: BaseHTTPRequestHandler, server: Server) -> None:
    wanted, condition = handler.headers.get("Range", ""), handler.headers.get("If-Range", "")
    server.asked.append(wanted)
    if server.to or server.status != 200:
        handler.send_response(302 if server.to else server.status)
        handler.send_header("Location", server.to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    start = int(wanted[6:-1]) if server.ranges and wanted and condition == server.tag else 0
    size = len(server.content)
    if start >= size:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{size}")
        handler.end_headers()
        return
    handler.send_response(206 if start else 200)
    headers = {"ETag": server.tag}
    if start:
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    if server.length:
        headers["Content-Length"] = str(size - start)
    for name, value in {**headers, **server.sent}.items():
        handler.send_header(name, value)
    handler.end_headers()
    while server.endless or server.drip:
        try:
            handler.wfile.write(b"x" if server.drip else b"x" * 10_000)
        except OSError:
            return  # the client has had enough
        time.sleep(server.drip)
    stop = size
    if server.cut and server.breaks:
        server.breaks -= 1
        stop = min(size, start + server.cut)
    handler.wfile.write(server.content[start:stop])


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, state)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test's output is its own."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIGCELL_MODELS", str(tmp_path / "cache"))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "cellpose"))
    monkeypatch.delenv("BIGCELL_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_file_is_fetched_once_and_its_hash_is_recorded(server: Server, cache: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    (path,) = fetch(server.entry(), report=lambda *told: seen.append(told))
    assert path == cache / "net"
    assert path.read_bytes() == CONTENT
    assert record(path).read_text() == f"{sha256_of(path)}  net\n"
    assert names(cache) == ["net", "net.sha256"]
    assert seen[-1] == ("net", len(CONTENT), len(CONTENT))
    assert fetch(server.entry()) == [path]
    assert len(server.asked) == 1


def test_a_broken_connection_is_taken_up_again(server: Server, cache: Path) -> None:
    server.cut, server.breaks = len(CONTENT) // 7, 6
    (path,) = fetch(server.entry(sha256=sha256_of_bytes(CONTENT), size=len(CONTENT)), pause=0)
    assert path.read_bytes() == CONTENT
    assert server.asked[0] == ""
    assert all(asked.startswith("bytes=") for asked in server.asked[1:])
    assert len(server.asked) == 7, "each byte came once"


def sha256_of_bytes(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def test_the_next_fetch_goes_on_from_what_is_there(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.cut, server.breaks = 3000, 1
    monkeypatch.setattr(module, "TRIES", 1)
    server.status = 503
    with pytest.raises(ModelError, match=r"503.*0 bytes are here"):
        fetch(server.entry(), pause=0)
    server.status = 200
    interrupted = iter([None])

    def interrupt(*_: object) -> None:
        next(interrupted)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.entry(), report=interrupt, pause=0)
    assert names(cache) == ["net.partial", "net.partial.json"]
    assert (cache / "net.partial").stat().st_size == 3000
    (path,) = fetch(server.entry(), pause=0)
    assert path.read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=3000-"


def test_a_file_that_has_changed_meanwhile_starts_anew(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "net.partial").write_bytes(b"old" * 100)
    (cache / "net.partial.json").write_text(f'{{"url": "{server.entry().weights.url}", "tag": "old"}}')
    (path,) = fetch(server.entry())
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": "elsewhere", "tag": "\\"one\\""}'])
def test_a_part_that_nobody_knows_of_starts_anew(note: str, server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "net.partial").write_bytes(b"old" * 100)
    (cache / "net.partial.json").write_text(note)
    (path,) = fetch(server.entry())
    assert path.read_bytes() == CONTENT
    assert server.asked == [""]


@pytest.mark.parametrize("more", [b"", b"and more"])
def test_a_part_that_is_whole_already_is_not_fetched_again(more: bytes, server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "net.partial").write_bytes(CONTENT + more)
    (cache / "net.partial.json").write_text(f'{{"url": "{server.entry().weights.url}", "tag": "\\"one\\""}}')
    (path,) = fetch(server.entry(), pause=0)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == (2 if more else 1)


def test_servers_without_ranges_and_without_lengths_do(server: Server, cache: Path) -> None:
    server.ranges, server.cut, server.breaks = False, 2000, 2
    assert fetch(server.entry(), pause=0)[0].read_bytes() == CONTENT
    (cache / "net").unlink()
    server.length = False
    assert fetch(server.entry())[0].read_bytes() == CONTENT


def test_another_hash_than_published_is_refused_and_nothing_stays(server: Server, cache: Path) -> None:
    with pytest.raises(ModelError, match="aaaaaaaaaaaa is published"):
        fetch(server.entry(sha256="a" * 64, size=len(CONTENT)))
    assert names(cache) == []


def test_another_size_than_published_is_refused(server: Server, cache: Path) -> None:
    with pytest.raises(ModelError, match="7 are published"):
        fetch(server.entry(sha256="a" * 64, size=7))
    server.content = CONTENT + b"x"
    server.length = False
    with pytest.raises(ModelError, match=f"more than the {len(CONTENT)} bytes"):
        fetch(server.entry(sha256=sha256_of_bytes(CONTENT), size=len(CONTENT)))


def test_the_first_download_is_trusted_and_held_to(server: Server, cache: Path) -> None:
    (path,) = fetch(server.entry())
    path.unlink()
    out = io.BytesIO()
    torch.save(CPnet([2, 8, 12]).state_dict(), out)
    server.content, server.tag = out.getvalue(), '"two"'
    with pytest.raises(ModelError, match="that of the first download"):
        fetch(server.entry())
    assert not path.exists()
    path.write_bytes(server.content)
    with pytest.raises(ModelError, match="that of the first download"):
        fetch(server.entry())


def test_a_page_instead_of_a_model_is_refused(server: Server, cache: Path) -> None:
    server.content = b"<html>please log in</html>" * 10
    with pytest.raises(ModelError, match="is not a PyTorch checkpoint"):
        fetch(server.entry())
    assert names(cache) == []


def test_the_size_model_comes_along(server: Server, cache: Path) -> None:
    parts = {"A": np.ones(8), "smean": np.zeros(8), "ymean": 0.5, "diam_mean": 21.0}
    out = io.BytesIO()
    np.save(out, np.array(parts, dtype=object), allow_pickle=True)
    fetch(server.entry())
    server.content = out.getvalue()
    size = RemoteFile("net_size.npy", f"http://127.0.0.1:{server.port}/net_size.npy")
    paths = fetch(Entry("net", "CPnet", "a test", server.entry().weights, size))
    assert [path.name for path in paths] == ["net", "net_size.npy"]
    paths[1].unlink()
    record(paths[1]).unlink()
    server.content = CONTENT
    with pytest.raises(ModelError, match="size model"):
        fetch(Entry("net", "CPnet", "a test", server.entry().weights, size))


def test_offline_touches_nothing(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"offline.*bring http"):
        fetch(server.entry(), offline=True)
    monkeypatch.setenv("BIGCELL_OFFLINE", "1")
    with pytest.raises(ModelError, match="offline"):
        fetch(server.entry())
    assert server.asked == []
    assert not cache.exists()
    monkeypatch.setenv("BIGCELL_OFFLINE", "0")
    fetch(server.entry())
    assert len(fetch(server.entry(), offline=True)) == 1, "what is here is here"


def test_refusals_of_the_server_are_final(server: Server) -> None:
    server.status = 404
    with pytest.raises(ModelError, match="404"):
        fetch(server.entry(), pause=0)
    assert len(server.asked) == 1


def test_no_network(cache: Path) -> None:
    file = RemoteFile("net", "http://127.0.0.1:9/net")
    with pytest.raises(ModelError, match="Is there a network"):
        fetch(Entry("net", "CPnet", "a test", file), pause=0)


def test_a_redirect_out_of_https_is_not_followed(server: Server) -> None:
    handler = module._SafeRedirects()
    request = module.urllib.request.Request("https://safe.invalid/net")
    with pytest.raises(ModelError, match="not secured"):
        handler.redirect_request(request, io.BytesIO(), 302, "", {}, f"http://127.0.0.1:{server.port}/net")


@pytest.mark.parametrize("known", [{}, {"size": 7}, {"size": len(CONTENT)}])
@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content-Length": "9" * 12}, "has 9{12} bytes"),
        ({"Content-Length": "9" * 5000}, "no number of them"),
        ({"Content-Length": "-5"}, "no number of them"),
        ({"Content-Length": "a few"}, "no number of them"),
    ],
)
def test_a_length_that_cannot_be(
    server: Server, cache: Path, headers: dict[str, str], said: str, known: dict[str, int]
) -> None:
    server.sent = headers
    with pytest.raises(ModelError, match=said) as refused:
        fetch(server.entry(**known), pause=0)
    assert len(str(refused.value)) < 400
    assert names(cache) == []


@pytest.mark.parametrize(
    "found",
    ["", "bytes 0-9/10", "bytes 99-100/" + "9" * 5000, "bytes " + "9" * 5000 + "-1/2", "bytes 100-200/*"],
)
def test_a_part_that_was_not_asked_for_leaves_nothing(server: Server, cache: Path, found: str) -> None:
    """Else every later fetch would ask for the same, and fail alike."""
    server.sent = {"Content-Range": found}
    cache.mkdir()
    (cache / "net.partial").write_bytes(CONTENT[:100])
    (cache / "net.partial.json").write_text(f'{{"url": "{server.entry().weights.url}", "tag": "\\"one\\""}}')
    with pytest.raises(ModelError, match="was asked for the bytes from 100 on") as refused:
        fetch(server.entry(), pause=0)
    assert len(str(refused.value)) < 400
    assert names(cache) == []
    server.sent = {}
    assert fetch(server.entry())[0].read_bytes() == CONTENT


@pytest.mark.parametrize("size", [0, 5000])
def test_a_body_without_end(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "LIMIT", 100_000)
    server.endless, server.length = True, False
    with pytest.raises(ModelError, match=f"more than the {size or 100_000} bytes"):
        fetch(server.entry(size=size), pause=0)
    assert names(cache) == []


def test_a_server_that_hardly_sends_is_given_up(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    server.drip = 0.02
    with pytest.raises(ModelError, match=r"fewer than 1000 bytes a second.*the next fetch goes on"):
        fetch(server.entry(), pause=0)
    server.drip = 0
    (cache / "net.partial").write_bytes(CONTENT[:5])
    assert fetch(server.entry())[0].read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=5-"


def test_a_server_that_sends_nothing_is_given_up(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    server.drip = 0.4
    with pytest.raises(ModelError, match=r"cannot be fetched .*timed out"):
        fetch(server.entry(), pause=0)
    server.drip = 0


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("ftp://127.0.0.1:9/net?key=SECRET", "leads to ftp://127.0.0.1:9/net, which is not secured"),
        ("file:///etc/passwd", "HTTP Error 302"),
        ("http://[x/SECRET", "leads to what is no address"),
        ("http://127.0.0.1:x/", "cannot be fetched"),
        ("/net", "HTTP Error 302"),
        ("//me:SECRET@127.0.0.1:9/x", "cannot be fetched"),
    ],
)
def test_a_redirect_to_where_no_model_is(server: Server, cache: Path, to: str, said: str) -> None:
    server.to = to
    with pytest.raises(ModelError, match=said) as refused:
        fetch(server.entry(), pause=0)
    assert "SECRET" not in str(refused.value)
    assert names(cache) == []


def test_a_key_in_where_it_is_led_to_is_not_told(server: Server) -> None:
    handler = module._SafeRedirects()
    request = module.urllib.request.Request("https://safe.invalid/net?key=SECRET")
    with pytest.raises(ModelError, match="not secured") as refused:
        handler.redirect_request(request, io.BytesIO(), 302, "", {}, "http://me:SECRET@127.0.0.1:9/net?key=SECRET")
    assert "SECRET" not in str(refused.value)


def test_redirects_are_followed_with_the_range(server: Server, cache: Path) -> None:
    entry = server.entry()
    cache.mkdir()
    (cache / "net.partial").write_bytes(CONTENT[:100])
    (cache / "net.partial.json").write_text(f'{{"url": "{entry.weights.url}", "tag": "\\"one\\""}}')
    moved = []

    def once(handler: BaseHTTPRequestHandler, state: Server) -> None:
        moved.append(handler.path)
        state.to = f"http://127.0.0.1:{state.port}/moved" if handler.path == "/net" else ""
        answer(handler, state)

    answer = globals()["_answer"]
    globals()["_answer"] = once
    try:
        (path,) = fetch(entry)
    finally:
        globals()["_answer"] = answer
    assert moved == ["/net", "/moved"]
    assert server.asked == ["bytes=100-", "bytes=100-"]
    assert path.read_bytes() == CONTENT


def test_a_full_disk(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = module.shutil.disk_usage("/")
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(OutputError, match="room for 10 bytes"):
            fetch(server.entry())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="the disk is full"):
        fetch(server.entry(), report=full)
    assert fetch(server.entry())[0].read_bytes() == CONTENT


def test_a_cache_that_cannot_be(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("BIGCELL_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(server.entry())


def test_two_at_once_do_not_meet(server: Server, cache: Path) -> None:
    cache.mkdir()
    with FileLock(cache / "net.lock"), pytest.raises(ModelError, match="another process"):
        fetch(server.entry())
