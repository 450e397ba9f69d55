"""A model for Cellpose 3.1: the same function in the network that it builds, or a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bigcell.core.errors import ModelError, OutputError, SettingsError
from bigcell.networks.cpnet import CPnet
from bigcell.networks.registry import load_model
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.training.output.export import CELLPOSE3, export_model, widened


def random_net(nbase: tuple[int, ...], *, style_on: bool = True) -> CPnet:
    """All of it random, also what batch norm has seen."""
    torch.manual_seed(3)
    network = CPnet(nbase, diam_mean=21, style_on=style_on)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value in (part.weight, part.bias, part.running_mean, part.running_var):
                assert value is not None
                nn.init.uniform_(value, 0.5, 1.5)
    network.diam_labels.data.fill_(33)
    return network.eval()


@pytest.mark.parametrize("nbase", [(2, 4, 6, 8, 10), (1, 4, 8, 8, 8), (2, 32, 64, 128, 256), (3, 5, 6, 7, 8)])
@torch.no_grad()
def test_the_wide_network_answers_what_the_narrow_one_answers(nbase: tuple[int, ...]) -> None:
    network = random_net(nbase)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    wide = CPnet((max(2, nbase[0]), *CELLPOSE3)).eval()
    wide.load_state_dict(widened(network))
    tile = torch.rand(2, max(2, nbase[0]), 48, 64)
    wanted, found = network(tile[:, : nbase[0]]), wide(tile)
    assert float((found - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    style = wide.style(tile)
    assert torch.allclose(style[:, : nbase[-1]], network.style(tile[:, : nbase[0]]), atol=1e-6)
    assert not style[:, nbase[-1] :].any()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@torch.no_grad()
def test_a_file_that_loads_with_both_diameters(tmp_path: Path) -> None:
    network = random_net((2, 4, 6, 8, 10))
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    out = export_model(tmp_path / "mine.pt", tmp_path / "theirs.pt")
    state = torch.load(out, weights_only=True)
    assert (state["diam_mean"].tolist(), state["diam_labels"].tolist()) == ([21], [33])
    model = load_model(out)
    assert (model.diameter, model.network.nbase) == (21, (2, *CELLPOSE3))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.pt", "theirs.pt"]
    with pytest.raises(OutputError, match="exists already"):
        export_model(tmp_path / "mine.pt", out)
    export_model(tmp_path / "mine.pt", out, overwrite=True)


@torch.no_grad()
def test_one_without_style_stays_without(tmp_path: Path) -> None:
    network = random_net((2, 4, 6, 8, 10), style_on=False)
    path = tmp_path / "cellpose_residual_on_style_off_concatenation_off_x"
    torch.save(network.state_dict(), path)
    tile = torch.rand(1, 2, 32, 32)
    found = load_model(export_model(path, tmp_path / "out.pt")).network(tile)
    assert torch.allclose(found, network(tile), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (CPnet([2, 4, 8]), "levels of 4, 8 features; Cellpose 3.1 holds 4 levels of at most 32"),
        (CPnet([2, 48, 8, 8, 8]), "levels of 48, 8"),
        (
            CellposeSAM(SamSizes(patch=8, grid=4, width=16, heads=2, hidden=32, neck=8, spans=(7, 3))),
            "runs CPnet alone",
        ),
    ],
)
def test_what_it_cannot_hold_is_refused(network: nn.Module, told: str, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "net.pt")
    with pytest.raises(ModelError, match=told):
        export_model(tmp_path / "net.pt", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="wanted cellpose3"):
        export_model("nuclei", tmp_path / "out.pt", form="onnx")
