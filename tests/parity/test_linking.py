"""Planes linked to objects as Cellpose's stitch3D links them."""

from __future__ import annotations

from typing import Any

import fastremap
import numpy as np
import pytest

from bigcell.stitch.planes import link_planes
from scripts.parity.shapes import plane_stack


@pytest.mark.parametrize(("name", "threshold"), [("low", 0.1), ("default", 0.25), ("high", 0.5)])
@pytest.mark.parametrize("peer", ["cellpose3", "cellpose4"])
def test_the_same_objects(peer: str, name: str, threshold: float, answers: Any) -> None:
    wanted = answers("stitched")[f"{peer}/{name}"]
    found = link_planes(plane_stack(), threshold)
    assert (found > 0).tolist() == (wanted > 0).tolist()
    pairs = np.unique(np.stack([found.ravel(), wanted.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]  # one to one
    assert pairs.shape[1] - 1 == fastremap.renumber(wanted)[0].max()
