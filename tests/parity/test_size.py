"""Size models: from styles to diameters as Cellpose 3.1 estimates them, read from a file as it writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigcell.networks.size import estimate_diameter, read_size_model


def test_the_same_diameters(answers: Any, tmp_path: Path) -> None:
    known = answers("size")
    params = {"A": known["A"], "smean": known["smean"], "ymean": float(known["ymean"])}
    np.save(tmp_path / "net_size.npy", {**params, "diam_mean": float(known["diam_mean"])}, allow_pickle=True)
    model = read_size_model(tmp_path / "net_size.npy")
    found = [estimate_diameter(model, style) for style in known["styles"]]
    assert found == pytest.approx(known["diameters"].tolist(), rel=1e-6)
    assert min(found) == 5 < max(found)
