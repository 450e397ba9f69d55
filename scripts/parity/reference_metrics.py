"""What Cellpose and StarDist score the metric fixtures: run by make_parity.py in the environment of either."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from scripts.parity.label_pairs import THRESHOLDS, label_pairs

COUNTS = ("tp", "fp", "fn")
STARDIST = ("precision", "recall", "accuracy", "f1", "mean_matched_score", "mean_true_score", "panoptic_quality")


def cellpose() -> dict[str, np.ndarray]:
    """Average precision with its counts, (pairs, thresholds), and the aggregated Jaccard index of each pair."""
    from cellpose import metrics

    truths, founds = map(list, zip(*label_pairs().values(), strict=True))
    values = metrics.average_precision(truths, founds, list(THRESHOLDS))
    out = {key: np.asarray(value, np.float64) for key, value in zip(("ap", *COUNTS), values, strict=True)}
    return {**out, "aji": metrics.aggregated_jaccard_index(truths, founds)}


def stardist() -> dict[str, np.ndarray]:
    """Every number of its matching, (pairs, thresholds)."""
    matching = _matching_alone().matching
    rows = [[matching(*pair, thresh=t) for t in THRESHOLDS] for pair in label_pairs().values()]
    return {
        key: np.array([[getattr(one, key) for one in row] for row in rows], np.float64) for key in (*COUNTS, *STARDIST)
    }


def _matching_alone() -> ModuleType:
    """The module stardist.matching without the package around it, which wants TensorFlow."""
    package = importlib.util.find_spec("stardist")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "matching.py"
    spec = importlib.util.spec_from_file_location("matching", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    what, out = sys.argv[1:]
    np.savez_compressed(out, **{"cellpose": cellpose, "stardist": stardist}[what]())


if __name__ == "__main__":
    main()
