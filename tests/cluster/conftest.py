"""What the tests in a real queue share: whether there is one, and a small image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import sample_volume


@pytest.fixture(scope="session")
def slurm() -> None:
    """Skips where no SLURM answers."""
    if shutil.which("squeue") is None or subprocess.run(["squeue", "-h"], capture_output=True).returncode:
        pytest.skip("no SLURM answers here: ./scripts/test --slurm sets one up")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample_volume((10, 48, 52), diameter=13, seed=3)
    return write_image(tmp_path_factory.mktemp("in a queue") / "image.zarr", made.image, spacing=made.spacing)
