"""Chunks that are not there, and grids of chunks of several sizes: what zarr does since 3.2 changes no label unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import bigcell
from bigcell.core.box import Box
from bigcell.core.errors import BlockError, ChunkError, InputError
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.missing_chunks import SETTING, filled_by_setting
from tests.io.conftest import StoreMaker

newer = pytest.mark.skipif(
    tuple(map(int, zarr.__version__.split(".")[:2])) < (3, 2),
    reason="zarr before 3.2 fills all chunks that are missing",
)


@pytest.fixture
def strict() -> Any:
    with zarr.config.set({SETTING: False}):
        yield


def holed(make_store: StoreMaker) -> Path:
    """An image that lost the file of one chunk."""
    path, _ = make_store("zyx", levels=1)
    next(p for p in sorted((path / "0" / "c").rglob("*")) if p.is_file()).unlink()
    return path


def test_a_chunk_that_is_not_there_is_the_fill_value(make_store: StoreMaker) -> None:
    volume = open_image(holed(make_store))
    assert filled_by_setting()
    assert not volume.read(Box((0, 0, 0), (1, 1, 1))).any()


@newer
def test_where_zarr_is_set_so_it_is_an_error_that_names_it(make_store: StoreMaker, strict: None) -> None:
    volume = open_image(holed(make_store))
    with zarr.config.set({SETTING: True}), pytest.raises(ChunkError, match="not found"):
        volume.read(Box((0, 0, 0), (1, 1, 1)))  # it was opened before: workers do as the driver was set


@newer
def test_a_run_says_which_chunk_is_not_there_or_fills_it(make_store: StoreMaker, strict: None) -> None:
    path = holed(make_store)
    words: dict[str, Any] = {"diameter": 6, "tile": 32, "cluster": "serial"}
    with pytest.raises(BlockError, match=r"chunk \(0, 0, 0\) of array '0'"):
        bigcell.segment(path, **words)
    result = bigcell.segment(path, on_bad_chunk="fill", overwrite=True, **words)
    assert result.counts["bad_chunks"] == 1


def test_labels_are_the_same_where_zarr_takes_missing_chunks_for_errors(tmp_path: Path, flow_store: Path) -> None:
    """Blocks without an object are not written; every step of a run, and all that reads its labels, knows that."""
    words: dict[str, Any] = {"flows": flow_store, "block": (16, 32, 32), "cluster": "serial", "report": True}
    plain = bigcell.segment(output=tmp_path / "plain.zarr", **words)
    with zarr.config.set({SETTING: False}):
        strict = bigcell.segment(output=tmp_path / "strict.zarr", **words)
        assert bigcell.evaluate(strict.path, plain.path).scores.aggregated_jaccard == 1
    read = [np.array(open_image(r.path).read(Box.of(read_info(r.path).extent()))) for r in (plain, strict)]
    assert np.array_equal(*read)


@pytest.mark.parametrize("name", ["rectilinear", "hexagonal"])
def test_chunks_of_several_sizes_are_refused_by_name(make_store: StoreMaker, name: str) -> None:
    path, _ = make_store("zyx", levels=1)
    document = json.loads((path / "0" / "zarr.json").read_text())
    document["chunk_grid"] = {"name": name, "configuration": {"kind": "inline", "chunk_shapes": [[5], [12], [14]]}}
    (path / "0" / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=f"level '0' of .* has the chunk grid '{name}', wanted 'regular'"):
        read_info(path)


@newer
def test_the_hint_for_chunks_of_several_sizes_works(tmp_path: Path) -> None:
    voxels = np.arange(4 * 10 * 8, dtype=np.uint16).reshape(4, 10, 8)
    with zarr.config.set({"array.rectilinear_chunks": True}):
        array = zarr.create_array(str(tmp_path / "odd"), shape=voxels.shape, chunks=((4,), (3, 7), (8,)), dtype="u2")
        array[:] = voxels
        bigcell.convert(zarr.open_array(str(tmp_path / "odd")), tmp_path / "new.zarr", axes="zyx")
    assert np.array_equal(open_image(tmp_path / "new.zarr").read(Box.of(voxels.shape))[0], voxels)
