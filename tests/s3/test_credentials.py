"""A marker in every credential that is taken: no byte of what a run leaves or says holds it."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.io.stores.remote import fetch, keys_below

MARKER = "mArKeR"
BLOCK = ["--block", "20,36,24", "--workers", "1"]


class Served(SimpleHTTPRequestHandler):
    """The files of a folder; of the chunks in `missing`, a failure whose words repeat the address."""

    missing = ""

    def log_message(self, *args: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Basic {b64encode(f'{MARKER}:{MARKER}'.encode()).decode()}":
            self.send_error(401)
            return
        if self.missing and self.missing in self.path:
            content = f"no {self.path} for {self.headers.get('Authorization')} {MARKER}".encode()
            self.send_response(403)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        super().do_GET()


@pytest.fixture
def web(tmp_path):
    """The address of a server of `tmp_path`/web, and its handler."""
    (tmp_path / "web").mkdir()

    class Handler(Served):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "web"))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", Handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(tmp_path, monkeypatch, capfd, caplog):
    """Runs the command line in a folder of its own; what it ends with, and that nothing it leaves holds the marker."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)

    def told(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            app(["--debug", *arguments])
        said = capfd.readouterr()
        text = said.out + said.err + caplog.text
        held = [p for p in place.rglob("*") if p.is_file() and MARKER.encode() in p.read_bytes()]
        named = [p for p in place.rglob("*") if MARKER in str(p)]
        assert not held
        assert not named
        lines = [line for line in text.splitlines() if MARKER in line]
        assert not lines
        return int(ended.value.code or 0)

    return told


def test_a_password_in_an_address(run, web, store, lattice, tmp_path, clean_environment):
    host, handler = web
    store(tmp_path / "web" / "flows.zarr", lattice.read(Box.of(lattice.extent)))
    url = f"http://{MARKER}:{MARKER}@{host}/flows.zarr"
    order = ["--flows", url, "--output", "out.zarr", *BLOCK]
    assert run("inspect", url) == 0
    assert run("plan", "--flows", url, *BLOCK) == 0
    assert run("segment", *order) == 0
    handler.missing = "/c/"
    assert run("segment", *order, "--overwrite") != 0
    assert run("status", "out.zarr") is not None
    assert run("resume", "out.zarr") != 0
    assert run("inspect", f"http://{MARKER}:{MARKER}@127.0.0.1:9/a.zarr") != 0


@pytest.mark.chaos
def test_a_password_in_netrc(run, web, store, lattice, tmp_path, clean_environment):
    """It is not in the address that is kept, so `resume` finds it where the run did."""
    host, handler = web
    store(tmp_path / "web" / "flows.zarr", lattice.read(Box.of(lattice.extent)))
    clean_environment.setenv("HOME", str(tmp_path))
    order = ["--flows", f"http://{host}/flows.zarr", "--output", "out.zarr", *BLOCK]
    assert run("segment", *order) == 2, "access is refused"
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login {MARKER} password {MARKER}\n")
    (tmp_path / ".netrc").chmod(0o600)
    handler.missing = "/c/"
    assert run("segment", *order) != 0
    handler.missing = ""
    assert run("resume", "out.zarr") == 0


@pytest.mark.chaos
@pytest.mark.parametrize("where", ["environment", "profile"])
def test_keys_of_a_bucket(run, flow_store, bucket, copy_up, tmp_path, clean_environment, where):
    url = copy_up(flow_store, f"{bucket}/flows.zarr")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for name in names:
        clean_environment.setenv(name, MARKER)
    if where == "profile":
        lines = "\n".join(f"{name.lower()} = {MARKER}" for name in names)
        (tmp_path / "keys").write_text(f"[lab]\n{lines}\n")
        clean_environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
        clean_environment.setenv("AWS_PROFILE", "lab")
        for name in names:
            clean_environment.delenv(name)
    order = ["--flows", url, *BLOCK, "--output"]
    assert run("segment", *order, f"{bucket}/out.zarr") == 0
    left = {key: fetch(f"{bucket}/{key}") or b"" for key in keys_below(bucket)}
    assert any("report.html" in key for key in left)
    assert not [key for key, content in left.items() if MARKER.encode() in content]
    assert run("segment", *order, "s3://no-such-bucket/out.zarr") != 0
    clean_environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert run("segment", *order, "out.zarr") != 0


def test_a_key_for_google(run, tmp_path, clean_environment):
    fields = ("private_key", "private_key_id", "client_email")
    key = json.dumps({"type": "service_account", **dict.fromkeys(fields, MARKER)})
    (tmp_path / "key.json").write_text(key)
    for name, value in {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json"),
        "GOOGLE_SERVICE_ACCOUNT": str(tmp_path / "key.json"),
        "GOOGLE_SERVICE_ACCOUNT_KEY": key,
    }.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            assert run("inspect", "gs://bucket/a.zarr") != 0


@pytest.mark.chaos
def test_keys_in_addresses(run, web, clean_environment):
    host, _ = web
    for source in (
        f"http://{host}/a.zarr?token={MARKER}",
        f"http://{host}/a.zarr#{MARKER}",
        f"s3://{MARKER}:{MARKER}@bucket/a.zarr",
        f"gs://{MARKER}@bucket/a.zarr",
        f"s3://bucket/a.zarr?X-Amz-Signature={MARKER}",
        f"ftp://{MARKER}:{MARKER}@host/a.zarr",
        f"http://{MARKER}:{MARKER}@[x/a.zarr",
        f"http://{MARKER}:{MARKER}@{host}:x/a.zarr",
    ):
        clean_environment.setenv("AWS_ACCESS_KEY_ID", MARKER)
        clean_environment.setenv("AWS_SECRET_ACCESS_KEY", MARKER)
        clean_environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        for order in (
            ["inspect", source],
            ["segment", source, "--output", "out.zarr"],
            ["view", source],
            ["segment", "missing.zarr", "--output", source],
            ["segment", "missing.zarr", "--cluster", source],
        ):
            assert run(*order) != 0, order
