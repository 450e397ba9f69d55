"""Runs that are killed just before one of their file-changing calls, and taken up again: for `test_every_change`.

``every_change.py FOLDER SCENARIO [NUMBER ...]`` kills before each of the numbers (none: all of them) and writes a line
of JSON for each kill. Everything is imported and compiled once; each driver is a fork.
"""

from __future__ import annotations

import os

os.environ |= {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue"}

import atexit
import importlib
import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import obstore
import zarr

import bigcell
from bigcell import api
from bigcell.core.box import Box
from bigcell.core.errors import BigcellError
from bigcell.io.ngff.write_image import write_image
from bigcell.io.stores.remote import connect, keys_below
from bigcell.synthetic import sample_volume
from bigcell.testing.files import content_of, tree_of
from bigcell.testing.flows import FlowLattice
from bigcell.testing.kills import Countdown, before_each_change

BLOCK = (18, 20, 44)
URL = "s3://bucket/out.zarr"


@dataclass
class Scenario:
    """One way to use bigcell, in `folder`. `begin` is killed, `go_on` is what the user does then."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Any]:
        return {"flows": self.folder / "now" / "flows.zarr", "block": BLOCK}

    @property
    def output(self) -> Any:
        return self.options.get("output", self.inputs.get("flows"))

    def prepare(self) -> None:
        """The files that are there before the run, in the folder "before"."""
        lattice = FlowLattice((18, 40, 44), diameter=13, noise=0.5)
        path = write_image(self.folder / "now" / "flows.zarr", lattice.read(Box.of(lattice.extent)))
        zarr.consolidate_metadata(zarr.open_group(path, mode="r+").store)

    def begin(self) -> None:
        api.segment(**self.inputs, cluster="serial", **self.options)

    def go_on(self) -> str:
        """Resume; where nothing had begun, or the labels are those of before, begin again."""
        try:
            said = list[Any]()
            api.resume(self.output, cluster="serial", work=self.options.get("work"), listener=said.append)
            if not any("there is no unfinished run" in getattr(event, "text", "") for event in said):
                return "resumed"
            if self.is_done():
                return "was finished"
        except BigcellError as error:
            if "there is no unfinished run" not in str(error) and "was cut off before" not in str(error):
                raise
        self.begin()
        return "begun again"

    def is_done(self) -> bool:
        """Whether the labels that are there are the new ones."""
        return True

    def result(self) -> dict[str, bytes]:
        return tree_of(self.folder / "now")

    def reset(self) -> None:
        """Everything as it was before the run."""
        shutil.rmtree(self.folder / "now")
        shutil.copytree(self.folder / "before", self.folder / "now", symlinks=True)


class Overwrite(Scenario):
    """Other labels of that name are there."""

    def prepare(self) -> None:
        super().prepare()
        api.segment(**self.inputs, cluster="serial", cellprob_threshold=3.0)

    def is_done(self) -> bool:
        record = json.loads((self.folder / "now/flows.zarr/labels/cells/record.json").read_text())
        return bool(record["plan"]["settings"]["dynamics"]["cellprob_threshold"] == 0)


class Kept(Scenario):
    """An image for a network, whose flows are kept."""

    @property
    def inputs(self) -> dict[str, Any]:
        image = self.folder / "now" / "image.zarr"
        kept = self.folder / "now" / "kept.zarr"
        return {"image": image, "diameter": 14, "tile": 48, "block": (12, 40, 24), "keep_flows": kept}

    @property
    def output(self) -> Any:
        return self.inputs["image"]

    def prepare(self) -> None:
        made = sample_volume((12, 40, 48), diameter=14, seed=3)
        write_image(self.folder / "now" / "image.zarr", made.image, chunk=(12, 40, 48), shard=(12, 40, 48))


class Array(Scenario):
    """Two workers of an array: the first one is killed, the other one goes on, or both begin again."""

    def begin(self) -> None:
        if not self._is_planned():
            api.save_plan(**self.inputs, **self.options)
        api.worker(self.output, index=0, of=2)

    def go_on(self) -> str:
        if not self._is_planned() and not self._is_ended():
            self.begin()
            return "begun again"
        api.worker(self.output, index=1, of=2)
        return "resumed"

    def _is_planned(self) -> bool:
        return (self._work / "plan.json").exists()

    def _is_ended(self) -> bool:
        return (self._work / "tidying.json").exists() or (Path(self.output) / "labels/cells/record.json").exists()

    @property
    def _work(self) -> Path:
        return Path(f"{self.output}.bigcell") / "cells"


class Bucket(Scenario):
    """Labels in a simulated object store."""

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "now" / "work").mkdir()

    def result(self) -> dict[str, bytes]:
        store = connect(URL)
        found = {k: content_of(k, bytes(obstore.get(store, k).bytes())) for k in keys_below(URL)}
        found.pop("labels/cells/report.html", None)
        return found | super().result()

    def reset(self) -> None:
        super().reset()
        store = connect(URL)
        obstore.delete(store, keys_below(URL))


def forked(do: Callable[[], Any], told: Path) -> tuple[int, Any]:
    """Do it in a process of its own. Its exit status (negative: a signal), and what it returned or raised.

    Object stores are only used in such processes: their threads would not be there after a fork.
    """
    told.write_bytes(pickle.dumps(""))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            told.write_bytes(pickle.dumps(do()))
            code = 0
        except BaseException:
            told.write_bytes(pickle.dumps(traceback.format_exc()))
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), pickle.loads(told.read_bytes())


def checked(ended: tuple[int, Any]) -> Any:
    assert ended[0] == 0, ended[1]
    return ended[1]


def main() -> None:
    folder, name, numbers = Path(sys.argv[1]), sys.argv[2], [int(n) for n in sys.argv[3:]]
    scenario = SCENARIOS[name](folder)
    told = folder / "told"
    (folder / "now").mkdir()
    lattice = FlowLattice((18, 40, 44), diameter=13, noise=0.5)
    bigcell.segment(flows=lattice.read(Box.of(lattice.extent)), block=BLOCK)  # compiles
    if name == "kept":  # loaded, and not used: the threads that it starts would not be there after a fork
        importlib.import_module("torch").set_num_threads(1)
        importlib.import_module("bigcell.engine.tasks.predict")
    checked(forked(scenario.prepare, told))
    shutil.move(folder / "now", folder / "before")
    shutil.copytree(folder / "before", folder / "now")

    def run(last: int) -> int:
        countdown = Countdown(last)
        before_each_change(folder / "now", countdown)
        scenario.begin()
        return countdown.calls

    calls = checked(forked(lambda: run(0), told))
    plain = checked(forked(scenario.result, told))
    for number in numbers or range(1, calls + 1):
        checked(forked(scenario.reset, told))
        at = 1 + (number - 1) % calls
        killed = forked(lambda at=at: run(at), told)[0] == -signal.SIGKILL
        code, said = forked(scenario.go_on, told)
        left = checked(forked(scenario.result, told)) if code == 0 else {}
        wrong = sorted(k for k in {*left, *plain} if left.get(k) != plain.get(k))
        answer = {"scenario": name, "calls": calls, "before": at, "killed": killed, "said": said, "wrong": wrong}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def bucket(folder: Path) -> Scenario:
    """Labels in a bucket of a simulated server, which ends with this process."""
    port = 20000 + os.getpid() % 20000
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(server.kill)
    endpoint = f"http://127.0.0.1:{port}"
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    os.environ |= {"AWS_REGION": "us-east-1"}
    for _ in range(600):
        try:
            urlopen(Request(f"{endpoint}/bucket", method="PUT"), timeout=60).close()
            return Bucket(folder, {"output": URL, "work": folder / "now" / "work"})
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the simulated server does not answer")


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {
    "new": Scenario,
    "no report": lambda folder: Scenario(folder, {"report": False}),
    "overwrite": lambda folder: Overwrite(folder, {"overwrite": True}),
    "own": lambda folder: Scenario(folder, {"output": folder / "now" / "out.zarr"}),
    "kept": Kept,
    "array": Array,
    "s3": bucket,
}

if __name__ == "__main__":
    main()
