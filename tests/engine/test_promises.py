"""Every option against every promise: seamless, once, resumed to the same bytes, memory of the block alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigcell
from bigcell import api
from bigcell.engine.planning.memory_cost import estimate
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runs.ended import read_record
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import sample_volume
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of

EXTENT = (10, 30, 34)
BLOCKS = ((10, 30, 34), (6, 14, 18))

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "diameter": {"diameter": 11},
    "anisotropy": {"anisotropy": 1.5},
    "cellprob_threshold": {"cellprob_threshold": -1.0},
    "niter": {"niter": 30},
    "sizes": {"min_size": 200, "max_size": 3000},
    "flow_threshold_3d": {"flow_threshold_3d": 0.6},
    "no holes filled": {"fill_holes": False},
    "planes": {"do_3D": False, "flow_threshold": 0.3},
    "linked planes": {"stitch_threshold": 0.25},
    "tiles": {"tile": 32, "batch": 3, "tile_overlap": 0.25},
    "tile_layout": {"tile_layout": "cellpose", "tile": 48},
    "views": {"views": "sum", "view_weights": (2.0, 1.0, 1.0)},
    "two views": {"view_weights": (1.0, 1.0, 0.0)},
    "augment": {"augment": True},
    "flow3D_smooth": {"flow3D_smooth": (0.5, 1.0, 1.0)},
    "precision": {"precision": "bfloat16"},
    "model_ortho": {"model_ortho": "nuclei"},
    "sampling": {"sampling": "cellpose"},
    "percentile": {"percentile": (2.0, 98.0)},
    "lowhigh": {"lowhigh": (50.0, 900.0)},
    "no normalize": {"normalize": False},
    "norm3D": {"norm3D": False},
    "invert": {"invert": True, "cellprob_threshold": -4.0, "min_size": 0},
    "filters": {"sharpen_radius": 6.0, "smooth_radius": 0.7},
    "tile_norm": {"tile_norm_blocksize": 20, "tile_norm_smooth3D": 2},
    "on_bad_chunk": {"on_bad_chunk": "fill"},
    "foreground": {"foreground": 600.0},
    "fill_nan": {"fill_nan": 150.0},
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample_volume(EXTENT, diameter=13, seed=3)
    return write_image(tmp_path_factory.mktemp("promises") / "image.zarr", made.image, spacing=made.spacing)


@pytest.fixture(scope="module")
def margin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same image with a margin of NaN, as registered ones have it."""
    made = sample_volume(EXTENT, diameter=13, seed=3)
    voxels = made.image.astype(np.float32)
    voxels[..., :5] = np.nan
    return write_image(tmp_path_factory.mktemp("promises") / "margin.zarr", voxels, spacing=made.spacing)


def run(image: Path, out: Path, block: tuple[int, int, int], option: dict[str, Any]) -> bigcell.Result:
    arguments = {"model": "cyto", "diameter": 13, "tile": 32, **option}
    return bigcell.segment(image, output=out, block=block, cluster="serial", **arguments)


@pytest.mark.parametrize("name", OPTIONS)
def test_promises(name: str, image: Path, margin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option = OPTIONS[name]
    image = margin if "fill_nan" in option else image
    whole = run(image, tmp_path / "whole.zarr", BLOCKS[0], option)
    blocks = run(image, tmp_path / "blocks.zarr", BLOCKS[1], option)

    # Seamless: the block grid leaves no trace in any file.
    assert whole.objects == blocks.objects > 0
    assert files_of(whole.path) == files_of(blocks.path)

    # Once: as many tiles as the lattice has, whatever the blocks.
    plan = Plan.from_json(read_record(blocks.path or "").plan)
    tiles = plan.lattice.tiles if plan.foreground is None else plan.foreground.tiles
    assert whole.counts["tiles"] == blocks.counts["tiles"] == tiles

    # Unlosable: interrupted half way and taken up again, the same bytes.
    half = sum(stage["tasks"] for stage in blocks.stages.values()) // 2
    with monkeypatch.context() as patch:
        patch.setattr(api, "choose_executor", lambda *_: Stopping(half))
        with pytest.raises(KeyboardInterrupt):
            run(image, tmp_path / "cut.zarr", BLOCKS[1], option)
    resumed = bigcell.resume(tmp_path / "cut.zarr", cluster="serial")
    assert files_of(resumed.path) == files_of(blocks.path)
    assert sum(stage["run"] for stage in resumed.stages.values()) < sum(s["run"] for s in blocks.stages.values())

    # Bounded: a volume 64 times as large takes the same memory of a worker.
    larger = replace(plan, extent=tuple(4 * n for n in plan.extent))  # type: ignore[arg-type]
    larger_block = replace(larger, settings=replace(plan.settings, block=(48, 48, 48)))
    largest = replace(larger_block, extent=tuple(16 * n for n in plan.extent))  # type: ignore[arg-type]
    assert estimate(largest).worker == pytest.approx(estimate(larger_block).worker, rel=0.25)


def test_the_table_names_every_option() -> None:
    """An option that is added has a row here, or a reason why it needs none."""
    elsewhere = {"level", "channels", "time", "region", "flows", "model", "block", "axes"}
    told = {word for row in OPTIONS.values() for word in row}
    assert set(api.Options.__annotations__) - elsewhere - told == set()


def test_the_table_can_tell_labels_apart(image: Path, tmp_path: Path) -> None:
    one = run(image, tmp_path / "one.zarr", BLOCKS[0], {})
    other = run(image, tmp_path / "other.zarr", BLOCKS[0], OPTIONS["cellprob_threshold"])
    assert not np.array_equal(list(files_of(one.path).items()), list(files_of(other.path).items()))
