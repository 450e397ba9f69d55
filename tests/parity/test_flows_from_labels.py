"""Flows of labels as Cellpose makes them, with its rules for heat and borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bigcell.flows.from_labels import flows_from_labels
from scripts.parity.shapes import mask_shapes


@pytest.mark.parametrize(
    ("peer", "shape"),
    [("cellpose3", "packed2"), ("cellpose3", "awkward2"), ("cellpose4", "packed2"), ("cellpose4", "awkward2"),
     ("cellpose4", "awkward3")],
)  # fmt: skip
def test_the_same_flows(peer: str, shape: str, answers: Any) -> None:
    wanted = answers("flows")[f"{peer}/{shape}"] / 32000
    labels = mask_shapes()[shape].astype(np.int32)
    found = flows_from_labels(labels, gradient=peer) / 5  # type: ignore[arg-type]
    apart = np.sqrt(np.square(found - wanted).sum(0))
    # where heat is level, at the centre of a cell, rounding decides which way it rises
    assert np.count_nonzero(apart > 0.01) <= 0.3 * labels.max()
    assert not apart[labels == 0].any()
