"""Voxels in a bucket that change under a run are told by ETags, which a copy of the same bytes keeps."""

from __future__ import annotations

import shutil

import pytest

import bigcell
from bigcell import api
from bigcell.core.errors import PlanError
from bigcell.io.ngff.chunk_sample import changes, take_sample
from bigcell.io.ngff.image import open_image
from bigcell.io.stores.remote import fetch, upload
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of

BLOCK = {"block": (20, 36, 24), "workers": 1}


def test_a_run_over_changed_voxels_is_refused_and_over_a_copy_is_not(
    flow_store, tmp_path, bucket, copy_up, monkeypatch
):
    url = copy_up(flow_store, f"{bucket}/f.zarr")
    plain = bigcell.segment(flows=url, output=tmp_path / "plain.zarr", **BLOCK)
    with monkeypatch.context() as patch:
        patch.setattr(api, "choose_executor", lambda *_: Stopping(2))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(flows=url, output=tmp_path / "l.zarr", **BLOCK)
    chunk = f"{url}/0/c/0/0/1/1"
    held = fetch(chunk)
    upload(held[:-1] + bytes([held[-1] ^ 1]), chunk)
    with pytest.raises(PlanError, match=r"1 of 4 chunk files looked at \(of 4\): 0/c/0/0/1/1 \(other content\)"):
        bigcell.resume(tmp_path / "l.zarr", workers=1)
    shutil.rmtree(flow_store / "labels", ignore_errors=True)
    copy_up(flow_store, url)
    assert files_of(bigcell.resume(tmp_path / "l.zarr", workers=1).path) == files_of(plain.path)


def test_an_object_that_goes_is_told(flow_store, bucket, copy_up):
    (flow_store / "0/c/0/0/0/0").rename(flow_store / "aside")
    url = copy_up(flow_store, f"{bucket}/f.zarr")
    sample = take_sample(open_image(url))
    assert sample.seen["0/c/0/0/0/0"] is None
    upload(flow_store / "aside", f"{url}/0/c/0/0/0/0")
    assert changes(sample, open_image(url)) == ["0/c/0/0/0/0 (appeared)"]
