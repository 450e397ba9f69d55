"""Pictures that are none: one sentence, and no file left open."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from bigcell.core.errors import InputError
from bigcell.io.formats.pictures import open_picture


@pytest.mark.parametrize("kind", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("what", ["cut", "a list", "long", "short", "empty"])
def test_no_picture(tmp_path: Path, kind: str, what: str) -> None:
    path = tmp_path / f"a{kind}"
    imsave(path, np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8), check_contrast=False)
    whole = path.read_bytes()
    path.write_bytes(
        {"cut": whole[:60], "a list": b"[]", "long": b"x" * 70_000, "short": whole[:9], "empty": b""}[what]
    )
    with pytest.raises(InputError, match="cannot be read as an image"):
        open_picture(path)
    gc.collect()  # a file that was left open is told of now, which fails the test
