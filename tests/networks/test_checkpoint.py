"""Checkpoints: what is read, what is refused, and that no file can run code."""

from __future__ import annotations

import contextlib
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bigcell.core.errors import ModelError
from bigcell.networks.checkpoint import read_checkpoint
from bigcell.networks.cpnet import CPnet
from bigcell.networks.recognise import build_cpnet

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


def test_a_view_that_repeats_its_storage_is_refused(tmp_path: Path) -> None:
    """A file of two kilobytes that speaks of a terabyte."""
    path = tmp_path / "model.pt"
    for zipped in (True, False):
        torch.save({"a": torch.zeros(1).expand(500_000, 500_000)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ModelError, match="speaks of 1000000000000 bytes"):
            read_checkpoint(path)


def test_a_storage_under_many_names_is_refused(tmp_path: Path) -> None:
    shared = torch.zeros(100_000)
    torch.save({f"a{i}": shared for i in range(100)}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match="speaks of"):
        read_checkpoint(tmp_path / "model.pt")


def test_a_compressed_archive_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    torch.save({"a": torch.zeros(1_000_000)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
    with pytest.raises(ModelError, match="compressed archive"):
        read_checkpoint(packed)


@pytest.mark.parametrize("value", [torch.eye(3).to_sparse(), torch.zeros(3, dtype=torch.complex64)])
def test_arrays_of_other_kinds_are_refused(value: Tensor, tmp_path: Path) -> None:
    torch.save({"a": value}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match="dense array of real numbers"):
        read_checkpoint(tmp_path / "model.pt")


def test_programs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.pt"
    torch.save({"a": torch.zeros(3)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{path.stem}/constants.pkl", b"")
    with pytest.raises(ModelError, match="TorchScript"):
        read_checkpoint(path)


def test_a_large_file_is_mapped_and_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(64 << 18)}, path)  # 64 MiB
    before = psutil.Process().memory_info().rss
    state = read_checkpoint(path)
    assert psutil.Process().memory_info().rss - before < 32 << 20
    assert state["a"].numel() == 64 << 18


def test_safetensors_are_read(network: CPnet, tmp_path: Path) -> None:
    path = tmp_path / "model.any"
    save_file(network.state_dict(), path)
    again = build_cpnet(read_checkpoint(path))
    x = torch.rand(1, 2, 16, 24)
    assert torch.equal(again(x), network(x))
    whole = path.read_bytes()
    for part in (0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(ModelError, match=r"model\.any"):
            read_checkpoint(path)
    path.write_bytes((1 << 60).to_bytes(8, "little") + whole[8:])
    with pytest.raises(ModelError, match=r"model\.any"):
        read_checkpoint(path)
