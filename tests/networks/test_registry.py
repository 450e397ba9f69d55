"""Models by name or by path, and that the bundled one finds cells."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from bigcell.core.errors import ModelError
from bigcell.core.volume import Array
from bigcell.flows.from_labels import unit_flows
from bigcell.networks.cache import record, sha256_of
from bigcell.networks.cpnet import CPnet
from bigcell.networks.registry import Model, load_model, load_size_model, model_sha256
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.networks.source import BUNDLED
from bigcell.synthetic import look_of, sample_volume, tissue_of


@pytest.fixture(scope="module", params=sorted(BUNDLED))
def bundled(request: pytest.FixtureRequest) -> Model:
    return load_model(request.param)


def test_a_bundled_model_is_ready_to_be_called(bundled: Model) -> None:
    assert (bundled.name in BUNDLED, bundled.channels, bundled.diameter, bundled.stride) == (True, 2, 17, 8)
    assert not bundled.network.training
    assert all(not p.requires_grad for p in bundled.network.parameters())
    assert all(v.dtype in (torch.float32, torch.int64) for v in bundled.network.state_dict().values())
    weight = bundled.network.get_parameter("output.2.weight")
    assert bundled.network(torch.zeros(1, 2, 16, 32)).shape == (1, 3, 16, 32)
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_hash_is_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    torch.save(CPnet([2, 4, 8], diam_mean=12).state_dict(), path)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    model = load_model(path)
    assert model.sha256 == model_sha256(str(path)) == expected
    assert (model.name, model.diameter, model.stride) == ("mine.pt", 12, 2)
    assert load_model("nuclei").sha256 == model_sha256("nuclei") != expected


def test_the_kind_and_the_tile_are_told(tmp_path: Path, bundled: Model) -> None:
    path = tmp_path / "sam.pt"
    torch.save(CellposeSAM(SamSizes(4, 4, width=12, heads=3, hidden=20, neck=5, spans=(7, 3))).state_dict(), path)
    model = load_model(path)
    assert (bundled.kind, bundled.tile, bundled.resizable) == ("CPnet", None, True)
    assert not model.resizable
    assert (model.kind, model.tile, model.stride, model.channels, model.diameter) == ("Cellpose-SAM", 16, 4, 3, 30)
    assert model.network(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)
    assert model.network.get_parameter("out.weight").is_contiguous(memory_format=torch.channels_last)


def test_a_name_that_says_style_off_is_believed(tmp_path: Path) -> None:
    state, x = CPnet([2, 4, 8]).state_dict(), torch.rand(1, 2, 8, 8)
    outputs = []
    for style in ("on", "off"):
        path = tmp_path / f"cellpose_residual_on_style_{style}_concatenation_off_mine_2021_01_01"
        torch.save(state, path)
        outputs.append(load_model(path).network(x))
    assert not torch.allclose(*outputs)


def test_what_is_wrong_with_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ModelError, match=r"mine\.pt: .*not known: found 2 tensors such as bias, weight"):
        load_model(path)


def test_a_network_of_other_outputs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    torch.save(CPnet([2, 4, 8], nout=2).state_dict(), path)
    with pytest.raises(ModelError, match="2 outputs"):
        load_model(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of models, and no models of Cellpose's."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("BIGCELL_MODELS", str(folder))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "cellpose"))
    return folder


def weights(path: Path, *, diameter: float | None = 30.0) -> Path:
    state = CPnet([2, 4, 8], diam_mean=diameter or 30).state_dict()
    if diameter is None:
        state = {name: value for name, value in state.items() if not name.startswith("diam")}
    path.parent.mkdir(exist_ok=True)
    torch.save(state, path)
    return path


def test_a_published_model_is_found_and_never_downloaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for ask in (load_model, model_sha256, load_size_model):
        with pytest.raises(ModelError, match="run `bigcell models fetch CPx`"):
            ask("CPx")
    path = weights(cache / "CPx", diameter=12)
    model = load_model("CPx")
    assert (model.name, model.channels, model.sha256) == ("CPx", 2, sha256_of(path))
    assert model.diameter == 30, "what is published wins over the file, as in Cellpose 3"
    assert load_model(path).diameter == 12, "a path is a path"


def test_cellposes_own_folder_is_looked_into(cache: Path) -> None:
    weights(cache.parent / "cellpose" / "CPx")
    assert load_model("CPx").diameter == 30


def test_a_file_wins_over_a_published_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights(cache / "CPx")
    monkeypatch.chdir(cache.parent)
    weights(cache.parent / "CPx", diameter=11)
    assert load_model("CPx").diameter == 11


def test_published_weights_without_a_diameter_have_the_published_one(cache: Path) -> None:
    assert load_model(weights(cache / "nucleitorch_0", diameter=None)).diameter == 17
    with pytest.raises(ModelError, match="'diam_mean'"):
        load_model(weights(cache / "mine", diameter=None))


def test_what_is_not_what_was_published_or_fetched_is_refused(cache: Path) -> None:
    weights(cache / "cyto3")
    for ask in (load_model, model_sha256):
        with pytest.raises(ModelError, match="published is 2dc3087a8abd"):
            ask("cyto3")
    path = weights(cache / "CPx")
    record(path).write_text(f"{sha256_of(path)}  CPx\n")
    assert load_model("CPx").sha256 == sha256_of(path)
    weights(path, diameter=29)
    with pytest.raises(ModelError, match="that of the first download"):
        load_model("CPx")


def test_size_models(cache: Path, tmp_path: Path) -> None:
    parts = {"A": np.ones(8), "smean": np.zeros(8), "ymean": 0.5, "diam_mean": 21.0}
    mine = weights(tmp_path / "mine")
    assert load_size_model("nuclei") is None
    assert load_size_model(mine) is None
    np.save(tmp_path / "mine_size.npy", np.array(parts, dtype=object), allow_pickle=True)
    found = load_size_model(mine)
    assert found is not None
    assert found.diam_mean == 21
    weights(cache / "cyto2torch_0")
    with pytest.raises(ModelError, match="size_cyto2torch_0"):
        load_size_model("cyto2")
    np.save(cache / "size_cyto2torch_0.npy", np.array(parts, dtype=object), allow_pickle=True)
    assert load_size_model("cyto2") is not None
    weights(cache / "CPx")
    assert load_size_model("CPx") is None


def test_an_unknown_name_is_told_what_there_is(tmp_path: Path) -> None:
    for ask in (load_model, model_sha256, load_size_model):
        with pytest.raises(ModelError, match=r"'cyto33' is neither .*nuclei, cyto.* did you mean 'cyto3'"):
            ask("cyto33")
    with pytest.raises(ModelError, match="neither"):
        load_model(tmp_path)


def test_a_bundled_file_is_small_and_is_the_one_of_its_card(bundled: Model) -> None:
    import bigcell.networks

    folder = Path(next(iter(bigcell.networks.__path__))) / "weights"
    assert (folder / f"{bundled.name}.safetensors").stat().st_size < 8_000_000
    assert bundled.sha256 in (folder / f"{bundled.name}.md").read_text()
    assert (folder / f"{bundled.name}.csv").read_text().startswith("step,")


def scores(model: Model, image: Array, labels: Array) -> tuple[float, float]:
    """IoU of the foreground, and mean cosine of the flow, of a plane normalised as a run does."""
    low, high = np.percentile(image, (1, 99), axis=(-2, -1), keepdims=True)
    x = ((image - low) / np.maximum(high - low, 1e-6)).astype(np.float32)
    out = model.network(torch.from_numpy(x)[None])[0].numpy()
    found, truth = out[2] > 0, labels > 0
    flows = unit_flows(labels[None])[1:, 0]
    cosine = (out[:2] * flows).sum(0) / np.maximum(np.hypot(out[0], out[1]), 1e-6)
    return float((found & truth).sum() / (found | truth).sum()), float(cosine[found & truth].mean())


@pytest.mark.parametrize("nuclei", [True, False])
def test_cyto_finds_touching_cells(nuclei: bool) -> None:
    made = sample_volume((32, 160, 160), diameter=18, seed=77)
    image = made.image[:, 16].astype(np.float32)
    if not nuclei:
        image[1] = 0
    iou, cosine = scores(load_model("cyto"), image, made.labels[16])
    assert iou > 0.9
    assert cosine > 0.84


def test_nuclei_finds_nuclei() -> None:
    made = sample_volume((1, 160, 160), diameter=18, seed=78, look=look_of("nuclei"), tissue=tissue_of("nuclei"))
    image = np.concatenate([made.image[:1, 0], np.zeros((1, 160, 160))]).astype(np.float32)
    iou, cosine = scores(load_model("nuclei"), image, made.labels[0])
    assert iou > 0.8
    assert cosine > 0.84
