"""The checkpoint: whole or not at all, and refused where it is not one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bigcell.core.errors import InputError, OutputError
from bigcell.training.loop.state import CHECKPOINT, Row, State, load_state, save_state, save_tensors

ROWS = [Row(10, 1.0, 1e-3, 0.7, 1.5), Row(20, 2.0, 5e-4, 1 / 3, 3.0, 0.4, 0.5, 0.3, 0.6)]


def state() -> State:
    best = {"output.2.bias": torch.arange(3.0)}
    return State({"settings": {"width": [4, 8]}}, {"command": "it"}, 20, ROWS, 0.1, 3, 2.5, 10, 0.3, 1, "", best)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    tensors = {"weights/a": torch.rand(3, 2), "optimiser/0/step": torch.tensor(7.0)}
    save_state(tmp_path, state(), tensors)
    found, again = load_state(tmp_path)
    wanted = state()
    assert torch.equal(found.best.pop("output.2.bias"), wanted.best.pop("output.2.bias"))
    assert found == wanted
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


def test_one_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    save_state(tmp_path, state(), {"weights/a": torch.zeros(1)})
    with pytest.raises(OutputError, match="cannot be written"):
        save_tensors(tmp_path / "no" / "such" / CHECKPOINT, {"a": torch.zeros(1)}, {})
    (tmp_path / f".{CHECKPOINT}.coming").write_bytes(b"half of one")  # a kill left it
    assert load_state(tmp_path)[0].step == 20
    save_state(tmp_path, state(), {"weights/a": torch.ones(1)})
    assert load_state(tmp_path)[1]["weights/a"] == 1


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "other"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    place = save_state(tmp_path, state(), {"weights/a": torch.zeros(100)})
    held = place.read_bytes()
    if damage == "missing":
        place.unlink()
    elif damage == "other":
        save_tensors(place, {"a": torch.zeros(1)}, {"made": "elsewhere"})
    else:
        place.write_bytes({"empty": b"", "text": b"weights", "cut": held[: len(held) // 2]}[damage])
    with pytest.raises(InputError, match=r"no checkpoint|is not a training's checkpoint"):
        load_state(tmp_path)
