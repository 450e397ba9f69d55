"""Real images and real cell shapes, where they are at hand (see each skip)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.segmentation import relabel_sequential

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.volume import ArrayVolume
from bigcell.flows.from_labels import unit_flows
from bigcell.metrics.matching import compare

DATA = Path(__file__).parents[1].parent / "shared" / "data"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real images at {DATA}"),
]


def test_a_converted_stack_of_nuclei(tmp_path: Path) -> None:
    folder = DATA / "validation" / "nuclei3d_stardist"
    store = bigcell.convert(folder / "image.tif", tmp_path / "n.zarr", axes="zyx", spacing_um=(2.0, 1.0, 1.0))
    result = bigcell.segment(store, diameter=13, block=(16, 32, 32), cluster="serial", min_size=60)
    labels = bigcell.open_volume(result.path)
    found = compare(tifffile.imread(folder / "labels.tif"), labels.read(labels.region)[0])
    assert found.f1 > 0.6


@pytest.mark.parametrize("name", ["cells_80x224x448", "packed_tissue_151x326x566"])
def test_real_shapes_come_back_from_their_flows_whatever_the_blocks(tmp_path: Path, store, name: str) -> None:
    truth = tifffile.imread(DATA / "geometry" / name / "labels.tif")[10:58, 40:130, 60:150]
    truth, _, _ = relabel_sequential(truth)
    flows = np.concatenate([5 * unit_flows(truth), np.where(truth > 0, 6, -6)[None]]).astype(np.float32)
    path = store(tmp_path / "flows.zarr", flows)
    blockwise = bigcell.segment(flows=path, block=(20, 30, 41), cluster="serial")
    whole = bigcell.segment(flows=ArrayVolume(flows, Spacing()))
    volume = bigcell.open_volume(blockwise.path)
    assert np.array_equal(volume.read(volume.region)[0], whole.labels)
    assert compare(truth, whole.labels).f1 > 0.85
