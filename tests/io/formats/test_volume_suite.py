"""Our volumes pass the suite that is shipped for others'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from imageio.v3 import imwrite

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.volume import Array, ArrayVolume, Volume
from bigcell.io.formats.arrays import as_volume
from bigcell.io.formats.convert import Respaced
from bigcell.io.formats.pictures import open_folder
from bigcell.io.formats.tiff import open_tiff
from bigcell.io.ngff.image import open_image
from bigcell.io.ngff.write_image import write_image
from bigcell.testing import FlowLattice, VirtualVolume, VolumeTests
from bigcell.training.stacks.channels import choose_channels

VOXELS = np.random.default_rng(5).integers(0, 60_000, (2, 5, 13, 17)).astype(np.uint16)
SIZE = Spacing(2.0, 0.5, 0.5)


class Known(VolumeTests):
    def expected(self, volume: Volume) -> Array:
        return VOXELS


class TestArrayVolume(Known):
    @pytest.fixture
    def volume(self) -> Volume:
        return ArrayVolume(VOXELS, SIZE)


class TestArrayOfTheOtherByteOrder(Known):
    @pytest.fixture
    def volume(self) -> Volume:
        return ArrayVolume(VOXELS.astype(">u2"), SIZE)


class TestZarrVolume(Known):
    @pytest.fixture
    def volume(self, tmp_path: Path) -> Volume:
        return open_image(write_image(tmp_path / "a.zarr", ArrayVolume(VOXELS, SIZE), chunk=(2, 8, 8)))


class TestRegionOfAZarrVolume(VolumeTests):
    @pytest.fixture
    def volume(self, tmp_path: Path) -> Volume:
        store = write_image(tmp_path / "a.zarr", ArrayVolume(VOXELS, SIZE), chunk=(2, 8, 8))
        return open_image(store, channels=[1], region=Box((1, 3, 2), (4, 12, 16)))

    def expected(self, volume: Volume) -> Array:
        return VOXELS[1:, 1:4, 3:12, 2:16]


class TestLazyVolume(Known):
    @pytest.fixture
    def volume(self, tmp_path: Path) -> Volume:
        array = zarr.create_array(tmp_path / "lazy.zarr", data=VOXELS.transpose(1, 2, 3, 0), chunks=(2, 8, 8, 1))
        return as_volume(array, axes="zyxc")


class TestTiffVolume(Known):
    @pytest.fixture
    def volume(self, tmp_path: Path) -> Volume:
        path = tmp_path / "stack.tif"
        tifffile.imwrite(path, VOXELS.transpose(1, 0, 2, 3), imagej=True, metadata={"axes": "ZCYX"})
        (volume,) = open_tiff(path)
        return volume


class TestFolderOfPlanes(VolumeTests):
    @pytest.fixture
    def volume(self, tmp_path: Path) -> Volume:
        for z, plane in enumerate(VOXELS[0]):
            imwrite(tmp_path / f"plane{z}.png", plane)
        (volume,) = open_folder(tmp_path)
        return volume

    def expected(self, volume: Volume) -> Array:
        return VOXELS[:1]


class TestVolumeOfAnotherVoxelSize(Known):
    @pytest.fixture
    def volume(self) -> Volume:
        return Respaced(ArrayVolume(VOXELS), SIZE, ("a", "b"))


class TestChosenChannels(VolumeTests):
    @pytest.fixture
    def volume(self) -> Volume:
        return choose_channels(ArrayVolume(VOXELS), [1, 0], "image")

    def expected(self, volume: Volume) -> Array:
        return VOXELS[[1, 0]]


class TestMeanOfChannels(VolumeTests):
    @pytest.fixture
    def volume(self) -> Volume:
        return choose_channels(ArrayVolume(VOXELS), ["grey"], "image")


class TestVirtualVolume(VolumeTests):
    @pytest.fixture
    def volume(self) -> Volume:
        return VirtualVolume(FlowLattice((20, 30, 40)), chunk=(8, 16, 16))
