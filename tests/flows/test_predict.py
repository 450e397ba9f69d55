from __future__ import annotations

import numpy as np
import pytest
import torch

from bigcell.flows.predict import predict_cube
from bigcell.tiling.lattice import Lattice, TileSettings


class Echo:
    """A network that knows nothing but its pixel: flows are twice and minus the image, the logit half of it."""

    def __init__(self) -> None:
        self.pixels = 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.pixels += x.shape[0] * x.shape[2] * x.shape[3]
        return torch.cat([2 * x[:, :1], -x[:, :1], x[:, :1] / 2], 1)


def assemble(lattice: Lattice, image: np.ndarray, network: Echo) -> np.ndarray:
    total = np.zeros((4, *lattice.extent), np.int16)
    for cube in range(len(lattice.cubes)):
        foot = lattice.footprint(cube).slices
        total[(slice(None), *foot)] += predict_cube(network, image[(slice(None), *foot)], lattice, cube)
    return total


@pytest.mark.parametrize("extent", [(40, 50, 70), (1, 90, 60)])
def test_parts_add_up_to_the_pixelwise_answer(extent: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).random((1, *extent), np.float32)
    lattice = Lattice(extent, TileSettings(size=32, group=1, batch=3))
    flows = assemble(lattice, image, Echo())
    volume = image[0] * 1024 / 5
    # rows are z or y, columns y or x: z is always rows (2), x always columns (-1), y both and averaged
    want = {1: 2 * volume, 2: -volume} if extent[0] == 1 else {0: 2 * volume, 1: volume / 2, 2: -volume}
    for component, expected in want.items():
        assert np.abs(flows[component] - expected).max() <= 6  # half a unit per contribution, at most twelve
    assert np.abs(flows[3] - image[0] * 128).max() <= 6


def test_the_grouping_of_tiles_does_not_change_a_bit() -> None:
    extent = (40, 50, 70)
    image = np.random.default_rng(1).random((1, *extent), np.float32)
    results = [assemble(Lattice(extent, TileSettings(size=32, group=g)), image, Echo()) for g in (1, 2, 3)]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_every_voxel_goes_through_the_network_once_plus_the_stated_margin() -> None:
    extent = (40, 50, 70)
    lattice = Lattice(extent, TileSettings(size=32, group=2))
    network = Echo()
    assemble(lattice, np.zeros((1, *extent), np.float32), network)
    assert network.pixels == sum(lattice.input_voxels(view) for view in lattice.views)
