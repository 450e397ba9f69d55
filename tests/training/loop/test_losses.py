"""The loss: values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from bigcell.training.loop.losses import flow_loss


def test_zero_output_costs_what_the_docstring_says() -> None:
    flows, inside = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4)
    flows[:, 0, :2], inside[:, :2] = 1, 1  # half of the pixels
    got = float(flow_loss(torch.zeros(1, 3, 4, 4), flows, inside))
    assert got == pytest.approx(12.5 * 0.5 / 2 + math.log(2))


def test_the_truth_costs_next_to_nothing() -> None:
    flows, inside = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4)
    flows[:, 1, 1], inside[:, 1] = -1, 1
    output = torch.cat([5 * flows, 40 * inside[:, None] - 20], 1)
    assert float(flow_loss(output, flows, inside)) < 1e-6
