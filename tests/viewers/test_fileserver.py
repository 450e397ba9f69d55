"""The file server: ranges, HEAD, cross-origin headers, and nothing from outside its folders."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bigcell.core.errors import InputError
from bigcell.viewers.fileserver import FileServer, byte_range

DATA = bytes(range(100))
FOREIGN = (
    "page.example",
    "page.example:80",
    "127.0.0.1.page.example",
    "localhost.page.example",
    "[page.example]",
    "x@::1",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    store = tmp_path / "cells.zarr"
    (store / "c" / "0").mkdir(parents=True)
    (store / "zarr.json").write_text("{}")
    (store / "c" / "0" / "0").write_bytes(DATA)
    (store / "empty").write_bytes(b"")
    (tmp_path / "secret").write_text("not yours")
    (tmp_path / "cells.zarr-secret").write_text("not yours")
    (store / "link").symlink_to(tmp_path / "secret")
    (store / "inside").symlink_to(store / "zarr.json")
    with FileServer({"image": store}) as running:
        yield running


def ask(server: FileServer, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(server.bind, server.port, timeout=120)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def inside(server: FileServer, path: str) -> str:
    return f"/{server.token}/image/{path}"


def test_whole_file(server: FileServer) -> None:
    answer, body = ask(server, inside(server, "c/0/0"))
    assert (answer.status, body) == (200, DATA)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_ranges(server: FileServer) -> None:
    for asked, want in [("bytes=10-19", DATA[10:20]), ("bytes=-7", DATA[-7:]), ("bytes=90-", DATA[90:])]:
        answer, body = ask(server, inside(server, "c/0/0"), Range=asked)
        assert (answer.status, body) == (206, want)
    assert answer.headers["Content-Range"] == "bytes 90-99/100"


def test_range_past_the_end(server: FileServer) -> None:
    answer, _ = ask(server, inside(server, "c/0/0"), Range="bytes=100-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */100"


def test_head_tells_the_size_and_sends_nothing(server: FileServer) -> None:
    answer, body = ask(server, inside(server, "c/0/0"), "HEAD")
    assert (answer.status, answer.headers["Content-Length"], body) == (200, "100", b"")


def test_empty_file_and_missing_file(server: FileServer) -> None:
    assert ask(server, inside(server, "empty"))[0].status == 200
    assert ask(server, inside(server, "c/0/1"))[0].status == 404
    assert ask(server, inside(server, "c"))[0].status == 404


def test_preflight(server: FileServer) -> None:
    answer, _ = ask(server, inside(server, "zarr.json"), "OPTIONS")
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Headers"] == "*"


def test_json_is_called_json(server: FileServer) -> None:
    answer, _ = ask(server, inside(server, "zarr.json"))
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "c/../../secret",
        "link",
        "../cells.zarr-secret",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "a%00b",
        "x" * 5000,
    ],
)
def test_nothing_escapes_the_store(server: FileServer, path: str) -> None:
    answer, body = ask(server, inside(server, path))
    assert (answer.status, body) == (404, b"")


def test_a_link_that_stays_inside_is_followed(server: FileServer) -> None:
    assert ask(server, inside(server, "inside"))[1] == b"{}"


def test_without_the_secret_word_there_is_nothing(server: FileServer) -> None:
    for path in ("/image/zarr.json", "/wrong/image/zarr.json", "/", f"/{server.token}/other/zarr.json"):
        assert ask(server, path)[0].status == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_read_only(server: FileServer, method: str) -> None:
    assert ask(server, inside(server, "zarr.json"), method)[0].status == 501


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        FileServer({"image": tmp_path / "nothing"})


def test_port_in_use(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another --port"):
        FileServer({"image": tmp_path}, port=server.port)


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_a_name_that_is_led_here_is_told_nothing(server: FileServer, host: str, method: str) -> None:
    """Also to who knows the secret word, and not that a server of ours is here."""
    answer, body = ask(server, inside(server, "zarr.json"), method, Host=host)
    assert (answer.status, body) == (421, b"")
    assert dict(answer.headers) == {"Content-Length": "0"}


def test_our_own_names_are_answered(server: FileServer) -> None:
    for host in ("localhost", "127.0.0.1:1234", "[::1]:80", "10.1.2.3", "LOCALHOST:80", socket.gethostname()):
        assert ask(server, inside(server, "zarr.json"), Host=host)[0].status == 200, host


def said_to(server: FileServer, request: bytes) -> bytes:
    with socket.create_connection((server.bind, server.port), timeout=20) as line:
        line.sendall(request + b"Connection: close\r\n\r\n")
        return b"".join(iter(lambda: line.recv(1 << 16), b""))


def test_a_request_for_no_host_or_for_two_is_refused(server: FileServer) -> None:
    asked = f"GET {inside(server, 'zarr.json')} HTTP/1.1\r\n".encode()
    for hosts in (b"", b"Host: localhost\r\nHost: page.example\r\n", b"Host: page.example\r\nHost: localhost\r\n"):
        assert said_to(server, asked + hosts).startswith(b"HTTP/1.1 421 "), hosts
    assert said_to(server, asked + b"Host: localhost\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("asked", "status", "want"),
    [
        ("bytes=" + "9" * 5000 + "-", 416, b""),
        ("bytes=0-" + "9" * 5000, 200, DATA),
        ("bytes=-" + "9" * 5000, 200, DATA),
        ("bytes=" + "0" * 5000 + "98-", 206, DATA[98:]),
        ("bytes=" + "9" * 5000 + "-" + "9" * 6000, 416, b""),
        ("bytes=--5", 200, DATA),
        ("bytes=\u00b2-", 200, DATA),
    ],
)
def test_numbers_of_any_length(server: FileServer, asked: str, status: int, want: bytes) -> None:
    answer, body = ask(server, inside(server, "c/0/0"), Range=asked)
    assert (answer.status, body) == (status, want)


@pytest.mark.parametrize(
    "target", ["http://[", "//[/x", "http://a]/", "*", "?", "#", "%", "/%ff%00", "http://localhost:x/"]
)
def test_addresses_that_are_none_are_not_found(
    server: FileServer, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n".encode()
    assert said_to(server, asked).startswith(b"HTTP/1.1 404 ")
    assert not capsys.readouterr().err


def test_byte_range_of_nonsense_is_the_whole_file() -> None:
    assert byte_range("bytes=1-2,5-6", 10) == (0, 10)
    assert byte_range("lines=1-2", 10) == (0, 10)
    assert byte_range("bytes=5-2", 10) is None
