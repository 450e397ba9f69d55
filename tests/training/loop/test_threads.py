"""Torch keeps its threads, whatever numba does in between."""

from __future__ import annotations

import torch

from bigcell.testing.labelled import synthetic_images
from bigcell.training.loop.events import Event, Stepped
from bigcell.training.loop.threads import kept_threads
from bigcell.training.settings import TrainingSettings
from bigcell.training.trainer import Data, run_training


def test_the_count_comes_back() -> None:
    before = torch.get_num_threads()
    with kept_threads():
        torch.set_num_threads(before + 1)
    assert torch.get_num_threads() == before


def test_every_step_has_the_threads_that_were_given(tmp_path: object) -> None:
    before, seen = torch.get_num_threads(), []

    def tell(event: Event) -> None:
        if isinstance(event, Stepped):
            seen.append(torch.get_num_threads())

    data = Data([synthetic_images(1, 64, diameter=12)], [synthetic_images(1, 64, diameter=12, seed=9)])
    settings = TrainingSettings(
        steps=3, batch=2, width=(4, 8), diameter=12, crop=32, channels=1, precision="float32", validate_every=1
    )
    try:
        torch.set_num_threads(1)
        run_training(data, f"{tmp_path}/out", settings, listener=tell)
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1, 1]
