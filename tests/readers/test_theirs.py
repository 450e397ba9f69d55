"""What other programs write is read: ngff-zarr in each form, and OME-NGFF 0.6 as ome-zarr-models builds it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import bigcell
from bigcell.core.box import Box
from bigcell.io.ngff.image import open_image, read_info
from tests.readers.conftest import needs
from tests.readers.readers import HERE, HOME, READERS, Reader

pytestmark = pytest.mark.readers

BY_NAME = {reader.package: reader for reader in READERS}
FORMS = {"0.4.zarr": "0.4", "0.5.zarr": "0.5", "0.6.zarr": "0.6", "0.5.ozx": "0.5"}
ORIGINS = {
    "scaled": (0, 0, 0),
    "moved": (10, 5, 2),
    "turned-in-an-atlas": (0, 0, 0),
    "affine-to-an-atlas": (0, 0, 0),
}


def run(reader: Reader, script: str, *words: Path) -> None:
    """Run a script of `made` where `reader` is."""
    needs(reader)
    around = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = HOME / reader.home / "bin" / "python"
    subprocess.run([program, HERE / "made" / script, *words], check=True, timeout=600, env=around)


@pytest.fixture(scope="module")
def by_ngff_zarr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ngff-zarr")
    run(BY_NAME["ngff-zarr"], "ngff_zarr_.py", folder)
    return folder


@pytest.fixture(scope="module")
def by_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ome-zarr-models")
    run(BY_NAME["ome-zarr-models"], "ome_zarr_models_.py", folder)
    return folder


@pytest.mark.parametrize("name", FORMS)
def test_ngff_zarr(by_ngff_zarr: Path, name: str) -> None:
    wanted = np.arange(2 * 6 * 40 * 56, dtype=np.uint16).reshape(2, 6, 40, 56)
    info = read_info(by_ngff_zarr / name)
    assert (info.version, "".join(info.axes)) == (FORMS[name], "czyx")
    assert info.extent(1) == (6, 20, 28)
    volume = open_image(by_ngff_zarr / name)
    assert volume.spacing.zyx == (2, 0.5, 0.25)
    assert volume.spacing.known
    assert volume.origin_um == (10, 5, 2)
    assert (volume.read(Box.of(volume.extent)) == wanted).all()
    assert open_image(by_ngff_zarr / name, level=1).spacing.zyx == (2, 1, 0.5)


@pytest.mark.parametrize("name", ORIGINS)
def test_ome_zarr_models(by_models: Path, name: str) -> None:
    """Where an image lies in an atlas does not change what its voxels are: the intrinsic system is taken."""
    wanted = np.arange(6 * 40 * 56, dtype=np.uint16).reshape(6, 40, 56)
    for level, sizes in enumerate([(2, 0.5, 0.25), (2, 1, 0.5)]):
        volume = open_image(by_models / f"{name}.zarr", level=level)
        assert (volume.info.version, volume.info.units) == ("0.6", ("micrometer", "nanometer", "nanometer"))
        assert volume.spacing.zyx == pytest.approx(sizes)
        assert volume.origin_um == pytest.approx(ORIGINS[name])
        assert (volume.read(Box.of(volume.extent))[0] == (wanted[:, ::2, ::2] if level else wanted)).all()


@pytest.mark.parametrize("name", FORMS)
def test_what_they_wrote_is_packed_into_one_file(by_ngff_zarr: Path, tmp_path: Path, name: str) -> None:
    packed = bigcell.convert(by_ngff_zarr / name, tmp_path / "again.ozx")
    assert open_image(packed).spacing.zyx == (2, 0.5, 0.25)
    assert open_image(packed).extent == (6, 40, 56)
