from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bigcell.flows.predict import predict_cube
from bigcell.flows.settings import FlowSettings
from bigcell.tiling.blend import taper
from bigcell.tiling.lattice import VIEWS, Lattice, TileSettings


class Echo:
    """A network that knows nothing but its pixel: flows are twice and minus the image, the logit half of it."""

    def __init__(self) -> None:
        self.pixels = 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.pixels += x.shape[0] * x.shape[2] * x.shape[3]
        return torch.cat([2 * x[:, :1], -x[:, :1], x[:, :1] / 2], 1)


class Sight:
    """A network that sees its neighbours, and is not the same when turned: convolutions of random weights."""

    def __init__(self, seed: int = 0, side: int = 9) -> None:
        self.weight = torch.randn((3, 1, side, side), generator=torch.Generator().manual_seed(seed))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, self.weight, padding="same")


def assemble(
    lattice: Lattice,
    image: np.ndarray,
    network: object,
    settings: FlowSettings = FlowSettings(),  # noqa: B008
) -> np.ndarray:
    total = np.zeros((4, *lattice.extent), np.int16)
    for cube in range(len(lattice.cubes)):
        foot = lattice.footprint(cube).slices
        total[(slice(None), *foot)] += predict_cube(network, image[(slice(None), *foot)], lattice, cube, settings)  # type: ignore[arg-type]
    return total


def flipped(network: Sight, plane: np.ndarray, rows: bool, columns: bool) -> np.ndarray:
    """What the network says of a plane (h, w) when it sees it flipped: (3, h, w), turned back."""
    turn = (slice(None, None, -1 if rows else 1), slice(None, None, -1 if columns else 1))
    out = network(torch.from_numpy(plane[turn].copy())[None, None])[0].numpy()[(slice(None), *turn)]
    return out * np.array([-1 if rows else 1, -1 if columns else 1, 1])[:, None, None]


def plainly(lattice: Lattice, image: np.ndarray, networks: list[Sight], settings: FlowSettings) -> np.ndarray:
    """The whole volume by the definition: plane by plane, tile by tile, in floats; flows in voxels per step."""
    total = np.zeros((4, *lattice.extent))
    known = np.zeros(4)
    for view in lattice.views:
        normal, rows, columns = VIEWS[view]
        a, b = lattice.axes[rows], lattice.axes[columns]
        planes = np.moveaxis(image[0], normal, 0)
        share = settings.view_weights[view]
        known += share * np.array([component in (3, rows, columns) for component in range(4)])
        for p, plane in enumerate(planes):
            big = np.zeros((3, *np.add(plane.shape, 2 * a.size + 2 * b.size)))
            sums = np.zeros(big.shape[1:])
            padded = np.pad(plane, a.size + b.size)
            for i, row in enumerate(a.starts):
                for j, column in enumerate(b.starts):
                    where = tuple(
                        slice(s + a.size + b.size, s + a.size + b.size + n)
                        for s, n in ((row, a.size), (column, b.size))
                    )
                    if lattice.settings.mirrored:
                        ways = [(j % 2 == 1, i % 2 == 1)]
                    else:
                        ways = (
                            [(r, c) for r in (False, True) for c in (False, True)]
                            if settings.augment
                            else [(False, False)]
                        )
                    seen = np.mean([flipped(networks[view], padded[where], *way) for way in ways], 0)
                    weight = np.outer(taper(a.size, a.full), taper(b.size, b.full))
                    big[(slice(None), *where)] += weight * seen
                    sums[where] += weight
            inner = tuple(slice(a.size + b.size, a.size + b.size + n) for n in plane.shape)
            out = (big / np.where(sums > 0, sums, 1))[(slice(None), *inner)]
            index = tuple(p if axis == normal else slice(None) for axis in range(3))
            for target, source in ((rows, 0), (columns, 1), (3, 2)):
                total[target][index] += share * out[source] / (1 if target == 3 else 5)
    if settings.views == "average":
        total /= np.where(known > 0, known, 1)[:, None, None, None]
    return total


EVERY = [
    (TileSettings(size=32), FlowSettings()),
    (TileSettings(size=32, fixed=True), FlowSettings(view_weights=(2, 1, 0.5))),
    (TileSettings(size=32), FlowSettings(views="sum")),
    (TileSettings(size=32), FlowSettings(view_weights=(1, 0, 3))),
    (TileSettings(size=32, batch=3), FlowSettings(augment=True)),
    (TileSettings(size=32, overlap=0.1, layout="cellpose"), FlowSettings(views="sum")),
    (TileSettings(size=32, overlap=0.1, layout="cellpose", fixed=True), FlowSettings(views="sum")),
    (TileSettings(size=32, layout="cellpose", mirrored=True), FlowSettings(views="sum", augment=True)),
]


@pytest.mark.parametrize(("tiles", "settings"), EVERY)
@pytest.mark.parametrize("extent", [(20, 41, 50), (1, 60, 41)])
def test_every_option_is_what_its_definition_says(
    extent: tuple[int, int, int], tiles: TileSettings, settings: FlowSettings
) -> None:
    image = np.random.default_rng(2).random((1, *extent), np.float32) * 0.3
    networks = [Sight(0), Sight(1), Sight(1)]
    lattice = Lattice(extent, tiles, settings.shown)
    flows = assemble(lattice, image, networks, settings)
    want = plainly(lattice, image, networks, settings)
    assert np.abs(want[1:3]).max() < 3.9  # else flows would be clipped
    assert np.abs(want[1:3]).mean() > 0.05
    scale = np.array([1024, 1024, 1024, 256])[:, None, None, None]
    rounding = 0.5 * 3 * 16 * (4 if settings.augment else 1)  # half a unit per view, tile and flip at most
    assert np.abs(flows - want * scale).max() < rounding / 2


@pytest.mark.parametrize(("tiles", "settings"), EVERY)
def test_no_option_depends_on_the_grouping(tiles: TileSettings, settings: FlowSettings) -> None:
    extent = (20, 41, 50)
    image = np.random.default_rng(3).random((1, *extent), np.float32) * 0.3
    made = [
        assemble(
            Lattice(extent, replace(tiles, group=g), settings.shown), image, [Sight(0), Sight(1), Sight(2)], settings
        )
        for g in (1, 2, 3)
    ]
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(made[0], made[2])


@pytest.mark.parametrize(("tiles", "settings"), EVERY)
def test_every_tile_is_run_once_or_once_a_flip(tiles: TileSettings, settings: FlowSettings) -> None:
    lattice = Lattice((20, 41, 50), tiles, settings.shown)
    network = Echo()
    assemble(lattice, np.zeros((1, *lattice.extent), np.float32), network, settings)
    times = 4 if settings.augment and not tiles.mirrored else 1
    assert network.pixels == times * sum(lattice.input_voxels(view) for view in lattice.views)


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
