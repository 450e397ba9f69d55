"""Paths as they come in: what no file system could hold is refused before anything touches it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigcell.core.errors import InputError
from bigcell.core.paths import local_path, resolved

REFUSED = {
    "null byte": "brain\0.zarr",
    "empty": "",
    "blank": "  ",
    "unknown user": "~nosuch/brain.zarr",
    "long part": f"data/{'a' * 256}/brain.zarr",
    "long part in bytes, not letters": "é" * 128,
    "long path": "/".join(["a" * 200] * 21),
    "not UTF-8": "brain\udcff.zarr",
    "half an address": "s3:/bucket/brain.zarr",
    "address of nothing": "gs://",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_a_path_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(InputError, match=r"wanted|give|write|check|shorten") as refused:
        local_path(text)
    assert str(refused.value).encode()  # can be printed whatever was given
    assert len(str(refused.value)) < 400


def test_paths_of_all_kinds_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert local_path("~/brain.zarr") == Path("/home/me/brain.zarr")
    assert local_path("file:///data/brain.zarr") == Path("/data/brain.zarr")
    assert local_path("./s3:/odd") == Path("s3:/odd")
    assert local_path("C:/data") == Path("C:/data")
    assert local_path(Path("é" * 127)) == Path("é" * 127)


def test_a_circle_of_links_leads_nowhere(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a"), ("dangling", "nothing")):
        (tmp_path / name).symlink_to(tmp_path / other)
    for path in (tmp_path / "a", tmp_path / "a" / "below" / "it"):
        with pytest.raises(InputError, match="is a circle of links; give"):
            resolved(path)
    assert resolved(tmp_path / "dangling") == tmp_path.resolve() / "nothing"
