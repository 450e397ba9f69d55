"""`bigcell synthetic`: an image with its truth, openable by everything else; nonsense is told of before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from bigcell.cli.app import app
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.io.ngff.image import open_image, read_info


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["synthetic", *(str(w) for w in words)])


def test_an_image_with_its_truth(tmp_path: Path) -> None:
    store = tmp_path / "cells.zarr"
    done = call(store, "--extent", "6,40,44", "--diameter", "10", "--spacing", "2,1,1", "--kind", "nuclei", "--seed", 3)
    assert done.exit_code == 0, done.output
    info = read_info(store)
    assert info.labels == ("truth",)
    assert info.spacing() == Spacing(2.0, 1.0, 1.0)
    truth = open_image(store / "labels" / "truth").read(Box((0, 0, 0), (6, 40, 44)))[0]
    image = open_image(store).read(Box((0, 0, 0), (6, 40, 44)))[0]
    assert f"{truth.max()} cells" in done.stdout
    assert image[truth > 0].mean() > 1.3 * image[truth == 0].mean()


def test_varied_planes_of_another_name_in_an_older_version(tmp_path: Path) -> None:
    store = tmp_path / "cells.zarr"
    words = (store, "--extent", "1,40,44", "--kind", "spindly", "--vary", "--labels", "cells", "--version", "0.4")
    assert call(*words).exit_code == 0
    assert read_info(store).labels == ("cells",)
    first = open_image(store).read(Box((0, 0, 0), (1, 40, 44)))
    refused = call(*words)
    assert refused.exit_code == 2
    assert "exists" in refused.stderr
    assert call(*words, "--overwrite").exit_code == 0
    assert np.array_equal(first, open_image(store).read(Box((0, 0, 0), (1, 40, 44))))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--extent", "1,2"), "three whole numbers"),
        (("--extent", "0,20,20"), "three sizes"),
        (("--extent", "100000,100000,100000"), "GB of memory"),
        (("--extent", "1,20,20", "--kind", "yeast"), "nuclei, cytoplasm"),
        (("--extent", "1,20,20", "--seed", "-1"), "--seed"),
        (("--extent", "1,20,20", "--diameter", "0"), "diameter"),
        (("--extent", "1,20,20", "--spacing", "0,1,1"), "spacing"),
        (("--extent", "1,20,20", "--version", "0.3"), "version"),
        (("--extent", "1,20,20", "--labels", "a/b"), "a/b"),
    ],
)
def test_nonsense_is_told_of_and_leaves_nothing(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    refused = call(tmp_path / "cells.zarr", *words)
    assert refused.exit_code == 2, refused.output
    assert message in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
