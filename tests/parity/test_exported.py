"""A checkpoint trained here is loaded by Cellpose 3.1, and one saved there loads here: both give the same masks."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bigcell
from bigcell.metrics.matching import compare
from bigcell.networks.registry import Model, load_model
from bigcell.training.output.export import export_model
from scripts.parity.cases import every
from scripts.parity.trained import DIAMETER, WIDTH, shown

ROOT = Path(__file__).parents[2]
PEERS = Path(os.environ.get("BIGCELL_PEERS", ROOT / ".peers"))
PYTHON = PEERS / "cellpose3" / "bin" / "python"


@pytest.fixture(scope="module")
def fixture() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).with_name("fixtures") / "exported_cellpose3.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def weights(fixture: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The narrow network, as it was trained here."""
    layout = {name: tuple(shape) for name, shape in json.loads(str(fixture["layout"])).items()}
    parts = torch.from_numpy(fixture["weights"]).split([int(np.prod(shape)) for shape in layout.values()])
    return {name: part.view(shape) for (name, shape), part in zip(layout.items(), parts, strict=True)}


@pytest.fixture(scope="module")
def exported(fixture: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The narrow network of the fixture, exported."""
    folder = tmp_path_factory.mktemp("exported")
    torch.save(weights(fixture), folder / "narrow.pt")
    narrow = load_model(folder / "narrow.pt")
    assert narrow.network.nbase == (2, *WIDTH)
    return export_model(folder / "narrow.pt", folder / "wide.pt")


def segmented(model: Model | Path, image: np.ndarray) -> np.ndarray:
    """Labels by bigcell, with the tiles that Cellpose lays."""
    result = bigcell.segment(image[:, None], model=model, normalize=False, tile_layout="cellpose", precision="float32")
    assert result.labels is not None
    return result.labels


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    """As many objects, and each the same but for single pixels."""
    assert wanted.max() > 30
    assert found.max() == wanted.max()
    matched = compare(wanted, found, threshold=0.95)
    assert matched.matched == wanted.max()
    assert (found == 0)[wanted == 0].mean() > 0.999


def test_both_give_the_same_masks(fixture: dict[str, np.ndarray], exported: Path) -> None:
    """What 3.1 made of the image with the exported file stands in the fixture."""
    assert fixture["diameters"][0] == DIAMETER
    narrow = weights(fixture)
    assert fixture["diameters"].tolist() == [float(narrow[name]) for name in ("diam_mean", "diam_labels")]
    assert_same(segmented(exported, shown(fixture["image"])), fixture["masks"])


def test_both_give_the_same_numbers(fixture: dict[str, np.ndarray], exported: Path) -> None:
    from bigcell.flows.runner import Runner
    from bigcell.training.loop.validate import predict_plane

    network: Any = load_model(exported).network
    image = shown(fixture["image"])
    with torch.no_grad():  # 3.1 pads with 8 pixels of zeros round an image whose sides are multiples of 16
        tile = torch.from_numpy(np.pad(image, ((0, 0), (8, 8), (8, 8)))[None])
        found = network(tile)[0, :, 8:-8, 8:-8].numpy()
    wanted = np.concatenate([fixture["flows"], fixture["logit"]])
    given = np.concatenate([every(found[:2], 11), every(found[2], 11)])
    assert np.abs(given - wanted).max() < 1e-3 * np.abs(wanted).max()
    road = predict_plane(Runner(network, device=torch.device("cpu")), image, DIAMETER)
    assert np.abs(road[:2]).max() > 3


@pytest.mark.skipif(not PYTHON.exists(), reason=f"no Cellpose 3.1 at {PYTHON}: ./scripts/peers makes it")
def test_there_and_back(fixture: dict[str, np.ndarray], exported: Path, tmp_path: Path) -> None:
    """3.1 itself loads the file, gives the masks of the fixture, and saves what loads here as the same network."""
    np.save(tmp_path / "image.npy", shown(fixture["image"]))
    script = ROOT / "scripts" / "parity" / "reference_export.py"
    files = [exported, tmp_path / "image.npy", tmp_path / "out.npz", tmp_path / "saved.pt"]
    done = subprocess.run([str(PYTHON), str(script), *map(str, files)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        masks = arrays["masks"]
    assert_same(masks, fixture["masks"])
    back = load_model(tmp_path / "saved.pt")
    assert back.diameter == DIAMETER
    ours, theirs = load_model(exported).network.state_dict(), back.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert_same(segmented(tmp_path / "saved.pt", shown(fixture["image"])), masks)
