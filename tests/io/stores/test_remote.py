"""What a server's answers become: tried again, or told at once in one line that holds no key."""

from __future__ import annotations

import http.server
import json
import os
import threading
import time
from datetime import UTC, datetime
from urllib.parse import unquote

import numpy as np
import pytest

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.stores import remote
from bigcell.io.stores.credentials import bucket_region, s3_options
from bigcell.io.stores.location import read_bytes
from bigcell.io.stores.urls import joined

REFUSAL = "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>"


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers with what the test put in `script`, then with the files of `folder`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.script:
            return self._answer(*self.server.script.pop(0))
        path = self.server.folder / unquote(self.path).lstrip("/").partition("?")[0]
        return self._answer(200, path.read_bytes()) if path.is_file() else self._answer(404, b"")

    def do_HEAD(self):
        self.do_GET()

    def _answer(self, status, content, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), "ETag": '"1"', "Last-Modified": NOW, **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


NOW = datetime(2026, 1, 1, tzinfo=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.fixture
def server(tmp_path):
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    running.script, running.asked, running.folder = [], [], tmp_path
    running.url = f"http://127.0.0.1:{running.server_address[1]}"
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def s3(server, monkeypatch):
    """A key for the scripted server; the URL of a bucket on it."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "FSSPEC_S3", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    return "s3://bucket"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_what_fails_for_a_while_is_asked_again(server, s3, status):
    (server.folder / "bucket").mkdir()
    (server.folder / "bucket" / "a").write_bytes(b"held")
    server.script = [(status, b""), (status, b"")]
    assert read_bytes("s3://bucket/a") == b"held"
    assert len(server.asked) == 3


def test_a_refusal_is_told_at_once_and_without_the_key(server, s3):
    server.script = [(403, REFUSAL.encode())] * 9
    with pytest.raises(InputError, match=r"access is refused \(InvalidAccessKeyId\); check the key") as caught:
        read_info("s3://bucket/a.zarr")
    assert len(server.asked) == 1
    assert "AKIAEXAMPLE" not in str(caught.value)
    assert "very-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (404, "<Error><Code>NoSuchBucket</Code></Error>", "there is no such bucket"),
        (400, "<Error><Code>AuthorizationHeaderMalformed</Code></Error>", r"refused \(400 AuthorizationHeaderMalf"),
        (401, "", "access is refused"),
        (500, "", r"the server refused \(500\)"),
    ],
)
def test_each_refusal_has_its_sentence(server, s3, status, content, said):
    server.script = [(status, content.encode())] * 9
    with pytest.raises(InputError, match=said):
        read_info("s3://bucket/a.zarr")


def test_a_server_that_is_not_there_is_told_within_seconds(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    begun = time.monotonic()
    with pytest.raises(InputError, match="the server cannot be reached; check the address and the network"):
        read_info("s3://bucket/a.zarr")
    assert time.monotonic() - begun < 10


def test_a_server_that_hangs(server, s3, monkeypatch):
    monkeypatch.setattr(remote, "CLIENT", {**remote.CLIENT, "timeout": "200ms"})
    monkeypatch.setattr(remote, "FIRST", {**remote.FIRST, "max_retries": 1})
    monkeypatch.setattr(Scripted, "do_GET", lambda self: time.sleep(1))
    with pytest.raises(InputError, match="the server did not answer in time"):
        read_info("s3://bucket/a.zarr")


def test_a_server_that_goes_away_is_no_fault_of_the_image(server, make_store, monkeypatch):
    make_store("zyx")
    volume = open_image(f"{server.url}/image.zarr")
    volume.read(Box((0, 0, 0), (1, 1, 1)))
    monkeypatch.setattr(remote, "LATER", remote.FIRST)
    monkeypatch.setattr(Scripted, "do_GET", lambda self: self._answer(503, b""))
    with pytest.raises(ConnectionError, match=r"cannot be read: the server refused \(503\)"):
        open_image_again(volume).read(Box((0, 0, 0), (1, 1, 1)))


def open_image_again(volume):
    """The same volume in a process that has not read from it yet."""
    from bigcell.io.ngff import image as opening

    opening._open_array.cache_clear()
    return volume


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_in_a_google_bucket(server, make_store, tmp_path, monkeypatch, version):
    path, voxels = make_store("zyx", version=version, name="bucket/image.zarr")
    account = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": "", "private_key": "",
               "private_key_id": ""}  # fmt: skip
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
    assert np.array_equal(open_image("gs://bucket/image.zarr").read(Box.of(voxels.shape))[0], voxels)
    assert path.is_dir()


# --- keys and regions ---


def test_keys_are_those_of_the_profile(tmp_path, monkeypatch, s3):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = one\naws_secret_access_key = two\naws_session_token = three\n"
    )
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    options = s3_options("bucket")
    assert (options["region"], options["endpoint"]) == ("eu-west-1", "http://127.0.0.1:1")
    key = options["credential_provider"]()
    assert (key["access_key_id"], key["secret_access_key"], key["token"]) == ("one", "two", "three")


@pytest.mark.parametrize("name", ["AWS_NO_SIGN_REQUEST", "AWS_SKIP_SIGNATURE", "FSSPEC_S3_ANON"])
def test_no_key_for_public_buckets(name):
    found = s3_options("b", {name: "True", "AWS_REGION": "r", "AWS_ENDPOINT_URL": "http://h"})
    assert found["skip_signature"]
    assert "credential_provider" not in found


def test_no_key_at_all_says_what_to_set(s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    with pytest.raises(
        InputError, match=r"no key for s3://bucket was found: set AWS_ACCESS_KEY_ID .*public bucket set"
    ):
        read_info("s3://bucket/a.zarr")


@pytest.mark.parametrize("status", [200, 301, 403])
def test_the_region_of_a_bucket_is_what_the_server_tells(server, monkeypatch, status):
    monkeypatch.setattr(
        Scripted, "do_HEAD", lambda self: self._answer(status, b"", **{"x-amz-bucket-region": "eu-north-1"})
    )
    assert bucket_region("bucket", server.url) == "eu-north-1"
    assert bucket_region("bucket", "http://127.0.0.1:9") == "us-east-1"


@pytest.mark.parametrize("address", ["s3:///a.zarr", "s3://key:secret@bucket/a.zarr", "ftp://host/a.zarr"])
def test_addresses_that_are_none(address):
    with pytest.raises(InputError) as caught:
        read_info(address)
    assert "secret" not in str(caught.value)


def test_joined():
    assert joined("s3://b/a/", "x", "y") == "s3://b/a/x/y"
    assert joined("/b/a", "x") == "/b/a/x"
