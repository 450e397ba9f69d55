"""The way to follow is chosen by what is there, and what does not fit on a device is followed on the CPU."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from bigcell.core.box import Box
from bigcell.core.errors import SettingsError
from bigcell.dynamics import backend, follow_torch
from bigcell.dynamics.backend import NUMBA, choose_follow
from bigcell.dynamics.follow import Particles, follow
from bigcell.dynamics.settings import DynamicsSettings


@pytest.fixture(autouse=True)
def chosen_anew() -> None:
    choose_follow.cache_clear()


def test_numba_on_a_cpu() -> None:
    assert choose_follow("cpu") is NUMBA


def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_follow("auto") is NUMBA
    choose_follow.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert choose_follow("auto").name == "torch"


def test_triton_where_it_is_installed() -> None:
    pytest.importorskip("triton", reason="Triton is not installed; it comes with torch for CUDA")
    assert choose_follow("cuda:1").name == "triton"


def test_a_device_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingsError, match="gpu0"):
        choose_follow("gpu0")


def test_a_full_device_is_told_and_the_result_is_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("80 GB of 80 GB are taken")

    monkeypatch.setattr(follow_torch, "follow_torch", full)
    rng = np.random.default_rng(0)
    flow, box = rng.integers(-900, 900, (3, 4, 5, 6)).astype(np.int16), Box.of((4, 5, 6))
    particles, settings = Particles.at(np.argwhere(np.ones((4, 5, 6), bool))), DynamicsSettings(niter=30)
    with caplog.at_level(logging.WARNING):
        done, _ = choose_follow("mps").follow(flow, box, (4, 5, 6), particles, settings)
    assert np.array_equal(done.displacement, follow(flow, box, (4, 5, 6), particles, settings)[0].displacement)
    assert "80 GB" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="the files of a driver are looked for on Linux only")
def test_choosing_does_not_load_torch_where_there_is_no_driver() -> None:
    code = (
        "import sys; from pathlib import Path; Path.exists = lambda p: False;"
        "from bigcell.dynamics.backend import choose_follow;"
        "print(choose_follow().name, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["numba", "False"]
