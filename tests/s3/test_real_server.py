"""A real S3 server (SeaweedFS) on loopback: keys that are right, wrong and none; runs that are killed and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import bigcell
from bigcell.core.box import Box
from bigcell.io.ngff.image import open_image
from bigcell.io.stores.location import read_bytes
from bigcell.io.stores.remote import keys_below

pytestmark = pytest.mark.s3
BLOCK = "10,18,22"
MAIN = "from bigcell.cli import main; main()"
SIDE = ("zarr.json", "record.json", "report.html")


@pytest.fixture
def server(real_server, clean_environment, tmp_path):
    """The server's address, with its key in the environment; runs work in a folder of the test."""
    clean_environment.setenv("AWS_ENDPOINT_URL", real_server)
    clean_environment.setenv("AWS_REGION", "us-east-1")
    clean_environment.setenv("AWS_ACCESS_KEY_ID", "testkey")
    clean_environment.setenv("AWS_SECRET_ACCESS_KEY", "testsecret")
    clean_environment.setenv("OMP_NUM_THREADS", "1")
    clean_environment.chdir(tmp_path)
    return real_server


@pytest.fixture
def make_bucket(server):
    """Makes a bucket of a name and gives its URL."""

    def make(name):
        # obstore has no call for it.
        import botocore.session

        client = botocore.session.Session().create_client("s3", endpoint_url=server, region_name="us-east-1")
        if name not in [b["Name"] for b in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=name)
        client.close()
        return f"s3://{name}"

    return make


def command(*words, pause="0", **environment):
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        env={**os.environ, "BIGCELL_TASK_PAUSE": pause, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(*words, **environment):
    process = command(*words, **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_killed_and_resumed_from_bucket_to_bucket(flow_store, tmp_path, make_bucket, copy_up, all_files, all_objects):
    bucket = make_bucket("runs")
    url = copy_up(flow_store, f"{bucket}/flows.zarr")
    local = bigcell.segment(flows=flow_store, output=tmp_path / "l.zarr", workers=1, block=(10, 18, 22))
    words = ("--flows", url, "--output", f"{bucket}/l.zarr", "--workers", "2", "--block", BLOCK)
    run = command("segment", *words, pause="0.1")
    killed = 0
    for wait in (6, 5, 5, 5):  # importing takes a while
        time.sleep(wait)
        if run.poll() is not None:
            break
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        killed += 1
        with pytest.raises(bigcell.BigcellError, match="there is no zarr group"):
            open_image(f"{bucket}/l.zarr/labels/cells")
        run = command("resume", f"{bucket}/l.zarr", "--workers", "2", pause="0.1")
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert killed >= 1
    far, near = all_objects(f"{bucket}/l.zarr/labels/cells"), all_files(local.path)
    assert {k: v for k, v in far.items() if k not in SIDE} == {k: v for k, v in near.items() if k not in SIDE}
    assert "objects.parquet/part-00000.parquet" in far
    assert not any(".building" in key for key in keys_below(f"{bucket}/l.zarr"))
    assert not any(b"testkey" in held or b"testsecret" in held for held in far.values())


def test_without_a_key_what_is_public_can_be_read(flow_store, make_bucket, copy_up, monkeypatch):
    public = copy_up(flow_store, f"{make_bucket('open')}/flows.zarr")
    private = copy_up(flow_store, f"{make_bucket('closed')}/flows.zarr")
    box = Box((0, 0, 0), (20, 36, 44))
    held = open_image(public).read(box)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    code, _, err = finish("inspect", public)
    assert (code, err.count("\n")) == (2, 1)
    assert "no key for s3://open was found" in err
    assert "for a public bucket set AWS_NO_SIGN_REQUEST=true" in err
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "true")
    assert np.array_equal(open_image(public).read(box), held)
    for words in (("inspect", private), ("segment", "--flows", public, "--output", "s3://closed/l.zarr")):
        code, _, err = finish(*words)
        assert (code, err.count("\n")) == (2, 1), err
        assert "access is refused" in err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrongsecret", "access is refused (SignatureDoesNotMatch)"),
        ("AWS_ACCESS_KEY_ID", "wrongkey", "access is refused (InvalidAccessKeyId)"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "the server cannot be reached"),
    ],
)
def test_what_cannot_succeed_is_one_line_at_once(flow_store, make_bucket, copy_up, monkeypatch, name, value, said):
    url = copy_up(flow_store, f"{make_bucket('lines')}/flows.zarr")
    monkeypatch.setenv(name, value)
    begun = time.monotonic()
    for words in (("inspect", url), ("segment", "--flows", str(flow_store), "--output", "s3://lines/l.zarr")):
        code, _, err = finish(*words)
        assert (code, err.count("\n")) == (2, 1), err
        assert said in err
        assert not any(secret in err for secret in ("wrongsecret", "wrongkey", "testkey", "testsecret"))
    assert time.monotonic() - begun < 30


def test_a_bucket_that_is_not_there(make_bucket):
    make_bucket("there")
    code, _, err = finish("inspect", "s3://not-there/a.zarr")
    assert (code, err.count("\n")) == (2, 1)
    assert "there is no such bucket" in err
    assert read_bytes("s3://there/nothing") is None
