"""What a training begins with: a function of the settings, or exactly what a checkpoint answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bigcell.core.errors import InputError, SettingsError
from bigcell.networks.cpnet import CPnet
from bigcell.networks.dino_vit import CellposeDINO, DinoSizes
from bigcell.networks.registry import load_model
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.testing.labelled import synthetic_images
from bigcell.training.crops.source import check_channels
from bigcell.training.loop.initialise import begin, described, ready_to_learn, typical_diameter
from bigcell.training.settings import TrainingSettings

SMALL = TrainingSettings(width=(4, 8), diameter=14)
SAM = SamSizes(patch=8, grid=4, width=16, heads=2, hidden=32, neck=8, spans=(7, 3))


def test_from_scratch_the_seed_decides() -> None:
    one, two, other = (begin(replace(SMALL, seed=seed), None)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["output.2.weight"], other["output.2.weight"])
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    begin(SMALL, None)
    assert torch.rand(1) == drawn  # torch's own randomness is left alone


def test_settings_are_filled_in() -> None:
    network, settings, origin = begin(TrainingSettings(), None)
    assert isinstance(network, CPnet)
    assert network.nbase == (2, 16, 32, 64, 128)
    assert (settings.diameter, settings.crop, settings.augmentation.crop) == (17, 128, 128)
    assert begin(TrainingSettings(diameter=30), None)[1].augmentation.diameter == 30
    assert begin(TrainingSettings(diameter=30), None)[1].crop == 224
    assert origin == {"from": "scratch"}


def test_a_checkpoint_brings_its_own(tmp_path: Path) -> None:
    torch.save(CPnet([1, 4, 8], diam_mean=21).state_dict(), tmp_path / "mine.pt")
    network, settings, origin = begin(TrainingSettings(), tmp_path / "mine.pt")
    assert (settings.channels, settings.width, settings.diameter, settings.crop) == (1, (4, 8), 21, 160)
    assert origin == {"from": "mine.pt", "sha256": load_model(tmp_path / "mine.pt").sha256}
    learning = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert learning == {name for name, _ in network.named_parameters()} - {"diam_mean", "diam_labels"}
    with pytest.raises(SettingsError, match=r"diameter 30: the network to begin with has 21"):
        begin(TrainingSettings(diameter=30), tmp_path / "mine.pt")


def test_a_transformer_has_crops_of_its_tile(tmp_path: Path) -> None:
    torch.save(CellposeSAM(SAM).state_dict(), tmp_path / "sam.pt")
    network, settings, _ = begin(TrainingSettings(), tmp_path / "sam.pt")
    assert (settings.crop, settings.channels, settings.width) == (32, 3, None)
    assert settings.augmentation.shuffle == 1
    assert not network.W2.requires_grad
    with pytest.raises(SettingsError, match="32 alone"):
        begin(TrainingSettings(crop=64), tmp_path / "sam.pt")


def test_a_dino_has_crops_of_384_or_what_is_asked_for(tmp_path: Path) -> None:
    torch.save(CellposeDINO(DinoSizes(width=24, heads=3, hidden=8, blocks=1)).state_dict(), tmp_path / "dino.pt")
    network, settings, _ = begin(TrainingSettings(), tmp_path / "dino.pt")
    assert (settings.crop, settings.channels, settings.width, settings.augmentation.shuffle) == (384, 3, None, 1)
    fixed = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    assert fixed == {"diam_mean", "diam_labels", "W2", "encoder.mask_token"}
    assert begin(TrainingSettings(crop=64), tmp_path / "dino.pt")[1].crop == 64


def test_one_without_style_begins_as_the_same_function() -> None:
    torch.manual_seed(0)
    quiet = CPnet([2, 4, 8], style_on=False).eval()
    ready = ready_to_learn(quiet).eval()
    tile = torch.rand(2, 2, 16, 16)
    assert ready.style_on
    assert torch.allclose(ready(tile), quiet(tile), atol=1e-6)
    loud = CPnet([2, 4, 8]).eval()
    loud.load_state_dict(quiet.state_dict())
    assert not torch.allclose(loud(tile), quiet(tile), atol=1e-3)


def test_more_channels_than_the_network_takes_are_refused() -> None:
    source = synthetic_images(1, 48, diameter=12, channels=2, name="two")
    check_channels([source], 2)
    with pytest.raises(InputError, match="two has 2 channels, the network takes 1"):
        check_channels([source], 1)


def test_the_data_are_described_by_what_they_give() -> None:
    _, settings, _ = begin(replace(SMALL, crop=32), None)
    one, same, other = (synthetic_images(1, 64, diameter=12, seed=seed) for seed in (0, 0, 1))
    assert described([one], settings) == described([same], settings)
    assert described([one], settings)[0]["probe"] != described([other], settings)[0]["probe"]
    assert [row["share"] for row in described([one, other], settings)] == [0.5, 0.5]
    assert typical_diameter([one]) == pytest.approx(next(one.planes()).diameter)
