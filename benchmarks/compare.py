"""Measure bigcell against the released Cellpose packages, on the same data, in one run: what ./scripts/bench runs.

    python benchmarks/compare.py [--only ROW ...] [--quick] [--cached-peers] [--out benchmarks/results]

Every work runs in a process of its own, in the order theirs, ours, ours, theirs (a peer that needs over a minute runs
once, and so does bigcell over five minutes); the best time counts. `--quick` takes a quarter of the data's length along
every axis: to see that all runs, not for figures. `--cached-peers` takes what a peer answered before, where neither its
script nor its data changed: for development; published figures come from a run without it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from data import SETS, folder_of, quick
from limits import at_most, limits
from rows import ROWS, Row
from table import markdown

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("BIGCELL_PEERS", HERE.parent / ".peers"))
LONG = 60.0
"""Seconds. A peer that takes longer runs once; ours, from five times as long."""


@dataclass
class Bench:
    """What a run needs to know: where things are, and what the options ask for."""

    data: Path
    results: Path
    quick: bool
    cached: bool
    limits: dict[str, float] = field(default_factory=limits)
    theirs: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)

    def set_of(self, row: Row) -> Path:
        return folder_of(self.data, f"quick_{row.data}" if self.quick else row.data)

    def run(self, row: Row, peer: int) -> dict[str, Any]:
        """One process: seconds, peak memory, and the file of the answer. `peer` 0 is bigcell itself."""
        python = PEERS / f"cellpose{peer}" / "bin" / "python" if peer else Path(sys.executable)
        work = row.theirs if peer else row.ours
        folder = self.set_of(row)
        if row.pipeline:
            folder_of(self.data, "network")  # its checkpoint
            block, diameter = row.pipeline
            block //= 4 if self.quick else 1
            script = HERE / ("peer_pipeline.py" if peer else "our_pipeline.py")
            arguments = [work, str(folder), ",".join([str(block)] * 3), str(diameter)]
        else:
            script = HERE / ("peer.py" if peer else "ours.py")
            arguments = [work, str(self.data), folder.name]
        out = self.results / f"{row.data}-{work}-{peer}-{_digest(peer, script, folder, arguments)}"
        figures = out.with_suffix(".json")
        if not (peer and self.cached and figures.exists()):
            figures.unlink(missing_ok=True)
            peak = _watched([str(python), str(script), *arguments, str(out)], whole=bool(row.pipeline))
            found = {"peak_extra": peak} | json.loads(figures.read_text())
            figures.write_text(json.dumps(found))
        return {**json.loads(figures.read_text()), "answer": str(out.with_suffix(".npz"))}


def _digest(peer: int, script: Path, folder: Path, arguments: list[str]) -> str:
    """Of the script, the pins of its environment and the recipe of its data: what an answer depends on."""
    pins = (HERE / "peers" / f"cellpose{peer}.txt").read_bytes() if peer else b""
    recipe = repr(SETS.get(folder.name.removeprefix("quick_"))).encode() + "".join(arguments).encode()
    return hashlib.sha256(script.read_bytes() + pins + recipe).hexdigest()[:12]


def _watched(command: list[str], *, whole: bool) -> int:
    """Run a command to its end. With `whole`, the most memory that it and all its children held, in bytes."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(HERE)}
    if whole:
        environment["OMP_NUM_THREADS"] = "1"  # two workers on two cores
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        peak, said = [0], []
        reader = threading.Thread(target=lambda: said.append(process.stdout.read()))
        reader.start()
        while process.poll() is None:
            if whole:
                peak[0] = max(peak[0], _held(psutil.Process(process.pid)))
            time.sleep(0.2)
        reader.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said[0].decode()[-3000:]}")
    return peak[0]


def _held(root: psutil.Process) -> int:
    """Proportional memory of a process and its children, in bytes: what they share counts once."""
    total = 0
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def measure(bench: Bench, name: str) -> list[dict[str, Any]]:
    """The rows of the table for one row of the list: one for each peer, or one of ours alone."""
    row = ROWS[name]
    if not row.peers:
        return [{"name": name, "title": row.title, "ours": _ours(bench, row)}]
    lines = []
    ours: dict[str, Any] | None = None
    for peer, wanted in row.peers:
        key = (row.data, row.theirs, peer)  # rows that share a peer's work share its runs
        known = bench.theirs.get(key)
        theirs = known or bench.run(row, peer)
        ours = _better(_ours(bench, row), ours)
        if not known and theirs["seconds"] < LONG and not bench.cached:
            theirs = _better(theirs, bench.run(row, peer))
        bench.theirs[key] = theirs
        line = {"name": name, "title": row.title, "peer": peer, "wanted": wanted, "wanted_memory": row.memory}
        line |= {"ours": ours, "theirs": theirs, "ratio": theirs["seconds"] / ours["seconds"]}
        lines.append(line | {"said": _judged(bench, row, ours, theirs)})
    return lines


def _ours(bench: Bench, row: Row) -> dict[str, Any]:
    first = bench.run(row, 0)
    return first if first["seconds"] > 5 * LONG else _better(first, bench.run(row, 0))


def _better(a: dict[str, Any], b: dict[str, Any] | None) -> dict[str, Any]:
    """The faster of two runs, with the larger peak of both."""
    if b is None:
        return a
    best = min(a, b, key=lambda run: run["seconds"])
    return best | {"peak_extra": max(a["peak_extra"], b["peak_extra"])}


def _judged(bench: Bench, row: Row, ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    if row.judge is None:
        return ""
    files = [bench.set_of(row) / f"{name}.npy" for name in ("labels", "whole")]
    known = {file.stem: np.load(file) for file in files if file.exists()}
    with np.load(ours["answer"]) as a, np.load(theirs["answer"]) as b:
        return row.judge(known, dict(a), dict(b))


def _share(bench: Bench, row: Row, ours: dict[str, Any]) -> dict[str, float]:
    """The part of the machine's limit that our work reaches: bytes that must be read and written once against the rate
    of copying, or the network's products, for the pixels it is given, against the rate of matrix products."""
    if row.bound == "copy":
        folder = bench.set_of(row)
        moved = sum(f.stat().st_size for f in folder.glob("*.npy"))
        return {"share": moved / ours["seconds"] / bench.limits["copy"]}
    if row.bound and not row.pipeline:
        from lattices import pixels

        image = np.load(bench.set_of(row) / f"{'plane' if row.theirs == 'plane' else 'volume'}.npy", mmap_mode="r")
        given = pixels(image.shape[:3], parity="default" not in row.ours)
        return {"share": given * bench.limits["network_work"] / ours["seconds"] / bench.limits[row.bound]}
    return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cached-peers", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.quick:
        quick()
    bench = Bench(HERE / ".data", options.out.absolute(), options.quick, options.cached_peers)
    for name in ("small2", "small3"):
        folder_of(bench.data, name)
    lines: list[dict[str, Any]] = []
    for name in options.only:
        lines += measure(bench, name)
        print(markdown(lines[-1:], head=name == options.only[0]), flush=True)
    bench.limits = at_most(bench.limits, limits())
    for line in lines:
        line |= _share(bench, ROWS[line["name"]], line["ours"])
    machine = {"cpu": _cpu(), "cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    table = markdown(lines, machine=machine, limits=bench.limits)
    stem = options.out / time.strftime("bench-%Y%m%d-%H%M%S")
    everything = {"machine": machine, "limits": bench.limits, "rows": lines}
    stem.with_suffix(".json").write_text(json.dumps(everything, indent=1))
    stem.with_suffix(".md").write_text(table)
    print(f"\n{table}\nwritten to {stem}.md and .json")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
