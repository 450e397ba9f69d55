"""Checkpoints: from a file to a state dict of tensors. No pickled object is ever made, no number in it is trusted."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bigcell.core.errors import ModelError

_ZIP, _INDEX_LIMIT = b"PK\x03\x04", 1 << 26
# What torch.load was seen to raise on files with some bytes changed.
_DAMAGE = (
    *(RuntimeError, ValueError, EOFError, OSError, KeyError, IndexError, TypeError, AttributeError, AssertionError),
    *(OverflowError, MemoryError, struct.error, zipfile.BadZipFile, SafetensorError, NotImplementedError),
)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors in the checkpoint at `path`, on the CPU, by name, without a leading ``module.``.

    A PyTorch file (new or old format) or a safetensors file, told apart by its first bytes. The tensors of a new or a
    safetensors file are mapped, not copied: a file of 1.2 GB is in memory once, whoever reads it.

    Raises ModelError where there is no file, where it is not a checkpoint, where it would run code to be read, where it
    holds anything but tensors, or speaks of more numbers than the file has bytes for.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path} is not a file; wanted a checkpoint with a network's weights, such as model.pt")
    try:
        found = _read(path)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} cannot be read as plain weights, and all else might run code: it is not a PyTorch checkpoint, "
            "or it was saved as a whole model; save it with torch.save(network.state_dict(), path)"
        ) from error
    except ModelError:
        raise
    except _DAMAGE as error:
        raise ModelError(f"{path} is not a readable PyTorch checkpoint ({_brief(error)}); is it cut short?") from error
    return _state_dict(found, path)


def _read(path: Path) -> object:
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:9] == b"{":
        return _safetensors(path)
    if head[:4] != _ZIP:
        with warnings.catch_warnings():  # torch's remarks on how the file was pickled: what counts is said by an error
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    _check_archive(path)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a mapping)


def _check_archive(path: Path) -> None:
    """Refuse an archive whose parts are not stored as they are: what unfolds may be larger than any memory."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise ModelError(f"{path} is a compressed archive; wanted a checkpoint as torch.save writes it")
    index = [part.file_size for part in parts if part.filename.endswith("data.pkl")]
    if sum(part.file_size for part in parts) > path.stat().st_size or max(index, default=0) > _INDEX_LIMIT:
        raise ModelError(f"{path}: its parts are larger than the file is; it is damaged, or meant to fill the memory")
    if any(part.filename.endswith("constants.pkl") for part in parts):
        raise ModelError(
            f"{path} is a TorchScript program; wanted weights only, as torch.save(network.state_dict(), path) saves"
        )


def _state_dict(found: object, path: Path) -> dict[str, Tensor]:
    """`found` as names to tensors that the file has bytes for."""
    if not isinstance(found, Mapping) or not found:
        raise ModelError(f"{path} holds a {type(found).__name__}; wanted a state dict of named tensors")
    state: dict[str, Tensor] = {}
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(
                f"{path} holds {str(name)[:80]!r}, a {type(value).__name__}; wanted a state dict, nothing but tensors "
                "by name"
            )
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
            raise ModelError(f"{path}: {name[:80]!r} is no dense array of real numbers; is the file damaged?")
        state[name.removeprefix("module.")] = value.detach()
    # A view that repeats its storage, or a storage under many names, may speak of any amount.
    asked, size = sum(value.numel() * value.element_size() for value in state.values()), path.stat().st_size
    if asked > size:
        raise ModelError(f"{path} speaks of {asked} bytes of weights but has {size} in all; is the file damaged?")
    return state


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
