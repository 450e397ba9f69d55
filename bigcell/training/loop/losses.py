"""The loss of Cellpose: half the squared error of the flow, 5 times a unit vector, cross entropy of being inside."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

FLOW_SCALE = 5.0


def flow_loss(output: Tensor, flows: Tensor, inside: Tensor, known: Tensor | None = None) -> Tensor:
    """One number for a batch: `output` ``(n, 3, h, w)``, unit `flows` ``(n, 2, h, w)``, `inside` ``(n, h, w)`` 0 or 1.

    `known` ``(n, h, w)`` bool: only these pixels are annotated, and the loss is their mean. The network that answers 0
    everywhere has a loss of ``12.5 * part of pixels inside / 2 + log 2``.
    """
    if known is None:
        squared = F.mse_loss(output[:, :2], FLOW_SCALE * flows)
        return 0.5 * squared + F.binary_cross_entropy_with_logits(output[:, 2], inside)
    weight = known.to(output.dtype)
    count = weight.sum().clamp_min(1)
    squared = ((output[:, :2] - FLOW_SCALE * flows).square() * weight[:, None]).sum() / (2 * count)
    return 0.5 * squared + F.binary_cross_entropy_with_logits(output[:, 2], inside, weight, reduction="sum") / count
