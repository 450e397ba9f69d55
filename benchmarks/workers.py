"""How much faster each stage is with more workers, each with a core of its own: one table of stages and workers.

    python benchmarks/workers.py [--workers 1 2] [--extent 192,384,384] [--block 96,96,96] [--cluster processes]

A synthetic tissue goes through the bundled network and all the rest. Each number of workers has a process of its own
that may use as many cores as it has workers, so a worker is always one core; it runs over a corner of the volume first,
which starts what there is to start. Every number is tried twice, in turns; the better time of each stage counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scale import as_zyx

import bigcell
from bigcell.core.box import Box
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import sample_volume

DIAMETER = 20.0
LEAST = 0.2
"""Seconds: a stage that takes less with one worker is not told by itself."""

Times = dict[str, float]


def main() -> None:
    options = _options()
    if options.child:
        print(json.dumps(_times(options.child, options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.zarr"
        write_image(image, sample_volume(options.extent, diameter=DIAMETER, seed=2).image[:1], levels=1)
        turns = [{n: _in_a_process(image, n) for n in options.workers} for _ in range(2)]
    best = {n: {stage: min(t[n][stage] for t in turns) for stage in turns[0][n]} for n in options.workers}
    print(table(best))


def _in_a_process(image: Path, workers: int) -> Times:
    """The seconds of each stage with so many workers on as many cores."""
    cores = sorted(os.sched_getaffinity(0))[:workers]
    if len(cores) < workers:
        raise SystemExit(f"{workers} workers need as many cores; this process may use {len(cores)}")
    run = [sys.executable, __file__, *sys.argv[1:], "--child", str(image), "--count", str(workers)]
    done = subprocess.run(
        run, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )
    times: Times = json.loads(done.stdout)
    return times


def _times(image: str, options: argparse.Namespace) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        run = {"diameter": DIAMETER, "block": options.block, "workers": options.count, "cluster": options.cluster}
        corner = Box((0, 0, 0), options.block)
        bigcell.segment(image, output=Path(folder) / "first.zarr", region=corner, **run)
        result = bigcell.segment(image, output=Path(folder) / "out.zarr", **run)
    times = {name: float(stage["seconds"]) for name, stage in result.stages.items()}
    return {**times, "all stages": sum(times.values())}


def table(best: dict[int, Times]) -> str:
    """Markdown: a row for each stage that takes long enough, seconds for each number of workers and the gain.

    >>> print(table({1: {"predict_flows": 10.0, "all stages": 10.1}, 2: {"predict_flows": 5.0, "all stages": 5.05}}))
    | stage | 1 worker | 2 workers |
    |---|---|---|
    | predict | 10.0 s | 5.0 s (2.00) |
    | all stages | 10.1 s | 5.0 s (2.00) |
    """
    first, *more = best
    names = ["1 worker" if n == 1 else f"{n} workers" for n in best]
    lines = [f"| stage | {' | '.join(names)} |", "|---" * (1 + len(best)) + "|"]
    for stage, seconds in best[first].items():
        if seconds >= LEAST:
            gains = [f"{best[n][stage]:.1f} s ({seconds / best[n][stage]:.2f})" for n in more]
            lines.append(f"| {' | '.join([stage, f'{seconds:.1f} s', *gains])} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--extent", type=as_zyx, default=(192, 384, 384))
    parser.add_argument("--block", type=as_zyx, default=(96, 96, 96))
    parser.add_argument("--cluster", default="processes")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
