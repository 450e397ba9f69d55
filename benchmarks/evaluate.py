"""How long scoring takes: bigcell's scores against ``cellpose.metrics.average_precision``, on the same labels.

    python benchmarks/evaluate.py [--extent 2048] [--cells 9000] [--peer cellpose3]

Cells are the voxels nearest to one of so many points and within 12 of it; what is found are the same cells, moved by
two voxels and one. Both score IoUs 0.5, 0.55 ... 0.95 and must find the same; ours also gives all the other scores.
Prints one line of JSON: the best of three of each, in seconds, and their ratio. `./scripts/peers` makes the peers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

THRESHOLDS = [round(0.5 + 0.05 * i, 2) for i in range(10)]
PEERS = Path(os.environ.get("BIGCELL_PEERS", Path(__file__).parents[1] / ".peers"))
PEER = """
import json, sys, time
import numpy as np
from cellpose.metrics import average_precision
pair, thresholds = np.load(sys.argv[1]), json.loads(sys.argv[2])
truth, found = pair["truth"], pair["found"]
average_precision(np.eye(2, dtype=np.int32), np.eye(2, dtype=np.int32), thresholds)  # compiles
seconds = []
for _ in range(int(sys.argv[3])):
    begun = time.perf_counter()
    scores = average_precision(truth, found, thresholds)[0]
    seconds.append(time.perf_counter() - begun)
print(json.dumps([min(seconds), scores.tolist()]))
"""


def labels(extent: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The truth and what is found, int32."""
    from scipy.ndimage import distance_transform_edt

    rng = np.random.default_rng(0)
    points = np.zeros((extent, extent), np.int32)
    points.flat[rng.choice(points.size, cells, replace=False)] = np.arange(1, cells + 1)
    distance, nearest = distance_transform_edt(points == 0, return_indices=True)
    truth = np.where(distance <= 12, points[tuple(nearest)], 0)
    return truth, np.roll(truth, (2, 1), (0, 1))


def ours(truth: np.ndarray, found: np.ndarray, times: int) -> tuple[float, list[float]]:
    from bigcell.metrics.boundary import Ball
    from bigcell.metrics.scores import score
    from bigcell.metrics.tally import tally

    seconds, scores = [], None
    for _ in range(times):
        begun = time.perf_counter()
        scores = score(tally(truth[None], found[None], Ball()), thresholds=THRESHOLDS)
        seconds.append(time.perf_counter() - begun)
    assert scores is not None
    return min(seconds), [one.average_precision for one in scores.at]


def theirs(peer: str, truth: np.ndarray, found: np.ndarray, times: int) -> tuple[float, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.npz"
        np.savez(pair, truth=truth, found=found)
        python = str(PEERS / peer / "bin" / "python")
        command = [python, "-W", "ignore", "-c", PEER, str(pair), json.dumps(THRESHOLDS), str(times)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, scores = json.loads(done.stdout.splitlines()[-1])
    return seconds, scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extent", type=int, default=2048)
    parser.add_argument("--cells", type=int, default=9000)
    parser.add_argument("--peer", default="cellpose3")
    options = parser.parse_args()
    truth, found = labels(options.extent, options.cells)
    a, mine = ours(truth, found, 3)
    b, other = theirs(options.peer, truth, found, 3)
    if not np.allclose(mine, other, rtol=0, atol=1e-6):
        sys.exit(f"the scores differ: {mine}, {options.peer} {other}")
    print(json.dumps({"ours_s": round(a, 3), f"{options.peer}_s": round(b, 2), "ratio": round(b / a), "ap50": mine[0]}))


if __name__ == "__main__":
    main()
