"""Checkpoints: what is read, what is refused, and that no file can run code."""

from __future__ import annotations

import contextlib
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bigcell.core.errors import ModelError
from bigcell.networks.checkpoint import build_cpnet, read_checkpoint
from bigcell.networks.cpnet import CPnet

NBASE = (2, 4, 6, 8)


@pytest.fixture
def network() -> CPnet:
    torch.manual_seed(3)
    made = CPnet(NBASE, diam_mean=21)
    made(torch.rand(4, 2, 16, 16))  # so that the running statistics are not those of an untouched network
    return made.eval()


def test_what_was_saved_comes_back(network: CPnet, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(network.state_dict(), path)
    again = build_cpnet(read_checkpoint(path))
    assert again.nbase == NBASE
    assert float(again.diam_mean) == 21
    assert not again.training
    x = torch.rand(1, 2, 16, 24)
    assert torch.equal(again(x), network(x))


def test_names_of_parallel_training_and_half_precision_are_understood(network: CPnet, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    state = {f"module.{k}": v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    torch.save(state, path)
    again = build_cpnet(read_checkpoint(path))
    assert next(again.parameters()).dtype == torch.float32
    x = torch.rand(1, 2, 16, 16)
    assert torch.allclose(again(x), network(x), atol=0.05)


def test_a_single_channel_and_four_outputs_are_read_from_the_shapes() -> None:
    again = build_cpnet(CPnet([1, 8, 16], nout=4).state_dict())
    assert (again.nbase, again.nout) == ((1, 8, 16), 4)


class Explosive:
    """Pickles to a call that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_no_code_runs(tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pt", tmp_path / "ran"
    torch.save({"weight": Explosive(mark)}, path)
    with pytest.raises(ModelError, match="state_dict"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Explosive(mark), protocol=2))
    with pytest.raises(ModelError):
        read_checkpoint(path)
    assert not mark.exists()


def test_whole_models_are_refused(network: CPnet, tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(network, path)
    with pytest.raises(ModelError, match="saved as a whole model"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint at all", b"PK\x03\x04 cut short", b"\x80\x02K\x01.", b"\x00" * 500]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"file\.pt"):
        read_checkpoint(path)


def test_a_file_cut_short_is_refused(network: CPnet, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(network.state_dict(), path)
    whole = path.read_bytes()
    for part in (0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(ModelError):
            read_checkpoint(path)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_damaged_file_is_refused_or_read_but_nothing_else(seed: int, tmp_path: Path) -> None:
    rng, path = random.Random(seed), tmp_path / "model.pt"
    torch.save(CPnet([1, 2, 2]).state_dict(), path, _use_new_zipfile_serialization=seed % 3 == 0)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 3, 20))):
        content[rng.randrange(min(len(content), rng.choice((60, 2000, 10**9))))] = rng.randrange(256)
    path.write_bytes(content)
    with contextlib.suppress(ModelError):
        build_cpnet(read_checkpoint(path))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a file"):
        read_checkpoint(tmp_path / "missing.pt")
    with pytest.raises(ModelError, match="is not a file"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [[torch.zeros(1)], {}, {"epoch": 3}, {1: torch.zeros(1)}, torch.zeros(3)])
def test_what_is_not_a_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match="wanted a state dict"):
        read_checkpoint(path)


def test_a_transformer_is_known_and_named() -> None:
    with pytest.raises(ModelError, match="Cellpose-SAM"):
        build_cpnet({"encoder.pos_embed": torch.zeros(1, 4, 4, 8), "out.weight": torch.zeros(3)})


def test_another_network_is_named_by_what_was_found() -> None:
    with pytest.raises(ModelError, match=r"0\.weight"):
        build_cpnet(nn.Sequential(nn.Conv2d(1, 1, 3)).state_dict())


def drop(name: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda state: state.__delitem__(name)


def put(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda state: state.__setitem__(name, value)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (drop("upsample.up.res_up_0.conv.conv_1.full.weight"), "does not fit"),
        (put("extra.weight", torch.zeros(2)), "does not fit"),
        (drop("diam_mean"), "diam_mean"),
        (put("diam_mean", torch.tensor([-3.0])), "diam_mean"),
        (put("output.2.bias", torch.tensor([0.0, float("nan"), 0.0])), "finite"),
        (put("output.2.weight", torch.zeros(3)), "four dimensions"),
        (put("output.2.weight", torch.zeros(3, 5, 1, 1)), "does not fit"),
        (put("downsample.down.res_down_0.conv.conv_0.2.weight", torch.zeros(9000, 2, 1, 1)), "larger"),
    ],
)
def test_broken_weights_are_refused(network: CPnet, harm: Callable[[dict[str, Tensor]], None], says: str) -> None:
    state = dict(network.state_dict())
    harm(state)
    with pytest.raises(ModelError, match=says):
        build_cpnet(state)


def test_weights_without_the_diameter_of_the_training_labels_are_read(network: CPnet) -> None:
    state = dict(network.state_dict())
    del state["diam_labels"]
    assert float(build_cpnet(state).diam_labels) == 21
