"""Bad inputs, made from tables: kinds of badness x doors of the command line. Each is to get one sentence.

``python tests/bad_inputs.py`` tries all of them in one process and writes
``tests/bad_inputs.md``, a table of what each was told. It fails where one got a traceback, hung, or left files.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from typer.testing import CliRunner

TABLE = Path(__file__).with_suffix(".md")
BAD = "BAD"
"""Stands in a door for the input that is tried."""
PATIENCE = 60
"""Seconds after which a case hangs."""

PATHS = {
    "null byte": "a\0b.zarr",
    "empty": "",
    "unknown user": "~nosuch/a.zarr",
    "part of 300 letters": "a" * 300 + ".zarr",
    "name of 250 letters": "a" * 250,
    "path of 5000 letters": "/".join(["a" * 99] * 50),
    "not UTF-8": "a\udcff.zarr",
    "half an address": "s3:/bucket/a.zarr",
    "bucket without a name": "s3://",
    "bucket without a name (gs)": "gs://",
    "server without a name": "http:///a.zarr",
    "unknown protocol": "gopher://a/b.zarr",
    "no port": "http://[::1/a.zarr",
    "a file": "file.txt",
    "below a file": "file.txt/a.zarr",
    "an empty folder": "empty",
    "absent": "nowhere/absent.zarr",
    "circle of links": "circle",
    "shell words": "$(touch x) `y`",
    "root": "/",
}
PATH_DOORS = [
    "inspect BAD",
    "convert BAD new.zarr",
    "convert image.npy BAD",
    "plan BAD",
    "plan --flows BAD",
    "plan image.zarr --foreground BAD",
    "plan image.zarr --model BAD",
    "segment BAD",
    "segment --flows flows.zarr --output BAD --labels new",
    "segment --flows flows.zarr --labels new --work BAD",
    "segment image.zarr --output new.zarr --keep-flows BAD",
    "segment --flows flows.zarr --labels new --picture BAD",
    "segment --flows flows.zarr --labels new --cluster local --performance-report BAD",
    "segment --flows flows.zarr --labels new --cluster slurm:BAD",
    "masks BAD",
    "resume BAD",
    "resume run.zarr --work BAD",
    "status BAD",
    "status run.zarr --work BAD",
    "report BAD",
    "report done.zarr -o BAD",
    "worker BAD --index 0 --of 1",
    "rerun BAD",
    "rerun done.zarr/labels/cells --output BAD --labels new",
    "view BAD",
    "view image.zarr --image BAD",
    "evaluate BAD image.zarr",
    "evaluate image.zarr BAD",
    "evaluate image.zarr image.zarr --json BAD",
    "evaluate image.zarr image.zarr --errors BAD",
    "evaluate image.zarr image.zarr --boxes BAD",
    "train BAD --out new",
    "train absent --out BAD",
    "train --resume BAD",
    "models info BAD",
    "models export nuclei BAD",
    "models export BAD new.pt",
    "synthetic BAD --extent 1,16,16",
]

NAMES = {
    "a document of zarr": "zarr.json",
    "in other letters": "Zarr.Json",
    "a file of ours": "plan.json",
    "on its way": "a.building",
    "empty": "",
    "up": "../private",
    "below": "a/b",
    "Windows": "a\\b",
    "hidden": ".cells",
    "null byte": "a\0b",
    "not UTF-8": "a\udcff",
    "250 letters": "a" * 250,
    "201 bytes": "é" * 101,
    "a mark alone": "\u0301",
    "two lines": "a\nb",
    "colours": "\x1b[31mred",
}
NAME_DOORS = [
    "segment --flows flows.zarr --labels BAD",
    "segment --flows flows.zarr --plan-only --labels BAD",
    "masks kept.zarr --labels BAD",
    "resume run.zarr --labels BAD",
    "status run.zarr --labels BAD",
    "report run.zarr --labels BAD",
    "worker run.zarr --index 0 --of 1 --labels BAD",
    "rerun done.zarr/labels/cells --labels BAD",
    "view image.zarr --labels BAD",
    "evaluate image.zarr image.zarr --labels BAD",
    "evaluate image.zarr image.zarr --truth-labels BAD",
    "synthetic new.zarr --extent 1,16,16 --labels BAD",
]

NUMBERS = ["nan", "inf", "-inf", "1e999", "9" * 400, "9" * 5000, "-1", "0", "", "x", "1e-400", "1,2", "0x10"]
NUMBER_OPTIONS = [
    *("--diameter", "--anisotropy", "--cellprob-threshold", "--flow-threshold", "--flow-threshold-3d", "--min-size"),
    *("--max-size", "--niter", "--stitch-threshold", "--block", "--tile", "--tile-overlap", "--batch", "--level"),
    *("--time", "--region", "--workers", "--lowhigh", "--percentile", "--sharpen-radius", "--smooth-radius"),
    *("--tile-norm-blocksize", "--view-weights", "--flow3d-smooth", "--channel", "--foreground"),
]
NUMBER_DOORS = [f"plan image.zarr {option} BAD" for option in NUMBER_OPTIONS] + [
    "worker run.zarr --index BAD --of 1",
    "worker run.zarr --index 0 --of BAD",
    "view image.zarr --object BAD",
    "view image.zarr --port BAD",
    "evaluate image.zarr image.zarr --thresholds BAD",
    "evaluate image.zarr image.zarr --tolerance BAD",
    "evaluate image.zarr image.zarr --errors e.csv --poor BAD",
    "synthetic new.zarr --extent BAD",
    "synthetic new.zarr --extent 1,16,16 --diameter BAD",
    "synthetic new.zarr --extent 1,16,16 --spacing BAD",
    "synthetic new.zarr --extent 1,16,16 --seed BAD",
    "convert image.npy new.zarr --axes zyx --spacing BAD",
    "convert image.npy new.zarr --axes zyx --chunk BAD",
    "convert image.npy new.zarr --axes zyx --levels BAD",
    "train absent --out new --diameter BAD",
    "train absent --out new --rate BAD",
    "train absent --out new --steps BAD",
    "train absent --out new --width BAD",
]

VALUES = {  # as JSON, some of which Python would not write
    "nothing": "null",
    "a list": "[]",
    "a list of lists": "[[[]]]",
    "an object": "{}",
    "text": '"x"',
    "a truth value": "true",
    "negative": "-1",
    "beyond floats": "1e999",
    "a whole number beyond floats": "1" + "0" * 400,
    "not a number": "NaN",
    "absurdly many": "[1099511627776, 1099511627776, 1099511627776, 1099511627776]",
    "beyond floats, in a list": "[1e999, 1, 1, 1]",
    "not numbers, in a list": '["a", "b", "c", "d"]',
    "huge, in a list": f"[{10**307}, {10**307}, {10**307}, {10**307}]",
    "a way out": '"../../private.zarr"',
    "a way out, in a list": '["../../private.zarr", "/etc", "cells", "a\\\\b", "absent", 3, ".hidden", ""]',
    "a null byte": '"a\\u0000b"',
    "half a letter": '"\\udcff"',
    "5000 letters": json.dumps("a" * 5000),
    "deep": "[" * 5000 + "]" * 5000,
}
FIELDS = [  # file, path to the field, doors
    ("image.zarr/zarr.json", "attributes"),
    ("image.zarr/zarr.json", "zarr_format"),
    ("image.zarr/zarr.json", "node_type"),
    ("image.zarr/zarr.json", "attributes.ome"),
    ("image.zarr/zarr.json", "attributes.ome.version"),
    ("image.zarr/zarr.json", "attributes.ome.omero"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.axes"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.axes.0"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.axes.0.unit"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.datasets"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.datasets.0"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.datasets.0.path"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.datasets.0.coordinateTransformations"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.datasets.0.coordinateTransformations.0"),
    ("image.zarr/zarr.json", "attributes.ome.multiscales.0.datasets.0.coordinateTransformations.0.scale"),
    ("image.zarr/zarr.json", "attributes.bigcell"),
    ("image.zarr/0/zarr.json", "shape"),
    ("image.zarr/0/zarr.json", "chunk_grid"),
    ("image.zarr/0/zarr.json", "chunk_grid.configuration.chunk_shape"),
    ("image.zarr/0/zarr.json", "data_type"),
    ("image.zarr/0/zarr.json", "fill_value"),
    ("image.zarr/0/zarr.json", "codecs"),
    ("image.zarr/0/zarr.json", "codecs.0"),
    ("image.zarr/0/zarr.json", "codecs.0.configuration"),
    ("image.zarr/0/zarr.json", "chunk_key_encoding"),
    ("image.zarr/0/zarr.json", "attributes"),
    ("image.zarr/labels/zarr.json", "attributes.ome.labels"),
    ("image.zarr/labels/cells/zarr.json", "attributes.ome.image-label"),
    ("image.zarr/labels/cells/zarr.json", "attributes.ome.image-label.source"),
    ("image.zarr/labels/cells/zarr.json", "attributes.ome.image-label.source.image"),
]
FIELD_DOORS = {
    "image.zarr/zarr.json": ["plan image.zarr --diameter 8"],
    "image.zarr/0/zarr.json": ["plan image.zarr --diameter 8"],
    "image.zarr/labels/zarr.json": ["inspect image.zarr", "view image.zarr", "evaluate image.zarr image.zarr"],
    "image.zarr/labels/cells/zarr.json": ["view image.zarr/labels/cells"],
}
OURS = [  # file, fields, doors
    (
        "run.zarr.bigcell/cells/plan.json",
        [
            "plan",
            "target",
            "inputs",
            "plan.extent",
            "plan.spacing",
            "plan.settings",
            "plan.settings.block",
            "plan.budget",
            "plan.flows",
            "target.name",
            "inputs.flows",
            "inputs.flows.source",
        ],
        ["resume run.zarr"],
    ),
    (
        "run.zarr.bigcell/cells/status.json",
        ["", "state", "done", "began", "updated", "failures", "notices", "driver", "stages", "stage", "peak_bytes"],
        ["status run.zarr", "report run.zarr"],
    ),
    (
        "done.zarr/labels/cells/record.json",
        [
            "plan",
            "command",
            "command.inputs",
            "command.store",
            "command.labels",
            "stages",
            "result",
            "format",
            "result.objects",
            "plan.extent",
            "plan.settings.dynamics.niter",
            "versions",
        ],
        ["rerun done.zarr/labels/cells --labels again", "status done.zarr", "inspect done.zarr/labels/cells"],
    ),
]
CONTENTS = {
    "nothing": b"",
    "half": b'{"a": ',
    "a list": b"[]",
    "a number": b"12",
    "binary": bytes(range(256)),
    "deep": b"[" * 100_000,
    "long": b"[" + b"1," * 2_000_000 + b"1]",
    "lines of text": b"a b\nc d\n",
    "absent": None,
}
FILE_DOORS = [
    ("image.zarr/zarr.json", "plan image.zarr --diameter 8"),
    ("image.zarr/0/zarr.json", "plan image.zarr --diameter 8"),
    ("image.zarr/labels/zarr.json", "view image.zarr"),
    ("image.zarr/labels/cells/zarr.json", "view image.zarr"),
    ("image.npy", "convert image.npy new.zarr --axes zyx"),
    ("image.tif", "convert image.tif new.zarr"),
    ("image.png", "convert image.png new.zarr"),
    ("run.zarr.bigcell/cells/plan.json", "resume run.zarr"),
    ("run.zarr.bigcell/cells/plan.json", "worker run.zarr --index 0 --of 1"),
    ("run.zarr.bigcell/cells/plan.json", "report run.zarr"),
    ("run.zarr.bigcell/cells/status.json", "status run.zarr"),
    ("run.zarr.bigcell/cells/claims/workers/0-a.json", "status run.zarr"),
    ("done.zarr/labels/cells/record.json", "rerun done.zarr/labels/cells --labels again"),
    ("done.zarr/labels/cells/record.json", "status done.zarr"),
    ("done.zarr/labels/cells/report.html", "report done.zarr"),
    ("done.zarr/labels/cells/objects.parquet/part-00000.parquet", "view done.zarr --object 1"),
    ("kept.zarr/zarr.json", "masks kept.zarr --labels new"),
    ("boxes.txt", "evaluate image.zarr image.zarr --boxes boxes.txt"),
    ("site.toml", "segment --flows flows.zarr --labels new --cluster slurm:site.toml"),
    ("data.toml", "train data.toml --out new --steps 1"),
    ("model.pt", "plan image.zarr --model ./model.pt"),
    ("model.safetensors", "plan image.zarr --model ./model.safetensors"),
]
SITE_DOOR, DATA_DOOR = FILE_DOORS[-4][1], FILE_DOORS[-3][1]
SITES = [  # lines of a site file
    *("interface = 3", "tls = 1", "wait = nan", "wait = inf", "wait = -1", "wait = 1e400", "python = []", "typo = 1"),
    *("cpu = 3", "[cpu]\ncores = 0", "[cpu]\ncores = 'x'", "[cpu]\nmemory = 'x'", "[cpu]\nmemory = '1e999GB'"),
    *("[cpu]\nwalltime = 4", "[cpu]\ndirectives = [[1]]", "[cpu]\njobs = 1.5", "interface = 'no such'\n[cpu]"),
]
DATA = [  # lines of a file of training data
    *("train = 3", "[[train]]\nfolder = 3", "[[train]]\nfolder = '~nosuch/x'", "[[train]]\nfolder = 'a\\u0000b'"),
    *("[[train]]\nimage = 's3://'", "[[train]]\nimage = 'image.zarr'\nweight = nan", "[[train]]\nweight = inf"),
    *("[[train]]\nimage = 'image.zarr'\nboxes = [[1]]", "split = 'x'", "[split]\nvalidation = nan", "[[trian]]"),
]


@dataclass(frozen=True)
class Case:
    """One bad input: what is bad about it, and the arguments that bring it in. `spoil` changes files before that."""

    kind: str
    door: str
    arguments: tuple[str, ...]
    spoil: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return f"{self.door}: {self.kind}"


def cases() -> Iterator[Case]:
    """All of them, always in the same order. Where kinds and doors are many, doors take turns at the kinds."""
    numbers = {_short(number): number for number in NUMBERS}
    for kinds, doors, turns in ((PATHS, PATH_DOORS, 4), (NAMES, NAME_DOORS, 3), (numbers, NUMBER_DOORS, 9)):
        for at, door in enumerate(doors):
            yield from (Case(kind, door, _words(door, text)) for kind, text in _turn(kinds, at, turns))
    fields = [(file, field, door) for file, field in FIELDS for door in FIELD_DOORS[file]]
    fields += [(file, field, door) for file, names, doors in OURS for field in names for door in doors]
    for at, (file, field, door) in enumerate(fields):
        for kind, value in _turn(VALUES, at, 19):
            yield Case(f"{field or 'all'} is {kind}", door, _words(door), _setting(file, field, value))
    for at, (file, door) in enumerate(FILE_DOORS):
        for kind, content in _turn(CONTENTS, at, 4):
            yield Case(f"{file}: {kind}", door, _words(door), _writing(file, content))
        yield Case(f"{file}: a folder", door, _words(door), _folder_at(file))
    for file, texts, door in (("site.toml", SITES, SITE_DOOR), ("data.toml", DATA, DATA_DOOR)):
        yield from (Case(repr(text), door, _words(door), _writing(file, text.encode())) for text in texts)


def _turn(kinds: dict[str, Any], at: int, turns: int) -> Iterator[tuple[str, Any]]:
    """Every so many of `kinds`, beginning where the door number `at` is in turn."""
    return ((kind, value) for number, (kind, value) in enumerate(kinds.items()) if number % turns == at % turns)


def _words(door: str, bad: str = "") -> tuple[str, ...]:
    return tuple(word.replace(BAD, bad) for word in shlex.split(door))


def _short(number: str) -> str:
    return number if len(number) < 20 else f"{len(number)} digits"


def _setting(file: str, field: str, value: str) -> Callable[[], None]:
    """Puts a piece of JSON text in the place of a field."""

    def spoil() -> None:
        mark, document = "@@@", json.loads(Path(file).read_text())
        inner: Any = document
        *way, last = field.split(".") if field else [""]
        for part in way:
            inner = inner[int(part) if part.isdigit() else part]
        if field:
            inner[int(last) if last.isdigit() else last] = mark
        Path(file).write_text(json.dumps(document if field else mark).replace(f'"{mark}"', value))

    return spoil


def _writing(file: str, content: bytes | None) -> Callable[[], None]:
    def spoil() -> None:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).unlink(missing_ok=True) if content is None else Path(file).write_bytes(content)

    return spoil


def _folder_at(file: str) -> Callable[[], None]:
    def spoil() -> None:
        Path(file).unlink(missing_ok=True)
        Path(file).mkdir(parents=True)

    return spoil


@dataclass(frozen=True)
class Told:
    """What a case was told, and what is wrong with that, if anything."""

    code: int
    text: str
    fault: str = ""


class Bench:
    """A folder with good inputs, which is put right again after each case that changed it."""

    def __init__(self, folder: Path) -> None:
        self.here, self.pristine = folder / "here", folder / "pristine"
        self.here.mkdir()
        with chdir(self.here):
            make_inputs()
        shutil.copytree(self.here, self.pristine, symlinks=True)
        self._known = _listing(self.here)

    def run(self, case: Case) -> Told:
        with chdir(self.here), _at_most(PATIENCE):
            case.spoil()
            before = _listing(self.here)
            told = self._told(case)
            after = _listing(self.here)
        left = sorted(set(after) - set(before))
        if told.code and left and not told.fault:
            told = Told(told.code, told.text, f"it left {left[0]}")
        if after != self._known:
            shutil.rmtree(self.here)
            shutil.copytree(self.pristine, self.here, symlinks=True)
            self._known = _listing(self.here)
        return told

    def _told(self, case: Case) -> Told:
        from bigcell.cli.app import app

        settings = {"XDG_CONFIG_HOME": str(self.here / "settings"), "BIGCELL_CLUSTER": ""}
        done = CliRunner(env=settings).invoke(app, list(case.arguments))
        said = [line for line in done.stderr.splitlines() if line.startswith("bigcell: ")]
        text = (said[-1].removeprefix("bigcell: ") if said else "taken").replace(str(self.here), "HERE")
        text = re.sub(r"[\d.]+ (are free|is free)", "N \\1", text)
        fault = ""
        if done.exit_code not in (0, 2, 3) or "unexpected" in text or "Traceback" in done.output:
            fault = f"code {done.exit_code}"
        elif done.exit_code and len(said) != 1:
            fault = f"{len(said)} sentences"
        return Told(done.exit_code, text, fault)


class _at_most:  # noqa: N801 - used as a statement
    """TimeoutError where what is within hangs."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        def ring(number: int, frame: Any) -> None:
            raise TimeoutError(f"nothing was said in {self.seconds} s")

        signal.signal(signal.SIGALRM, ring)
        signal.alarm(self.seconds)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder, with size and time of writing."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            stat = os.lstat(os.path.join(place, name))
            found[os.path.join(place, name)] = (stat.st_size, stat.st_mtime_ns) if name in files else (0, 0)
    return found


def make_inputs() -> None:
    """Good inputs of every kind, in the current folder."""
    import tifffile
    from PIL import Image

    import bigcell
    from bigcell import api
    from bigcell.core.box import Box
    from bigcell.core.volume import ArrayVolume
    from bigcell.io.labels.write_labels import write_labels
    from bigcell.io.ngff.write_image import write_image
    from bigcell.testing.flows import FlowLattice

    lattice = FlowLattice((8, 24, 24), diameter=10)
    image = np.random.default_rng(0).integers(0, 500, (1, 8, 24, 24)).astype(np.uint16)
    labels = np.zeros(image.shape[1:], np.uint32)
    labels[2:6, 2:10, 2:10], labels[2:6, 12:20, 12:20] = 1, 2
    write_image("image.zarr", ArrayVolume(image))
    write_labels("image.zarr", labels)
    write_image("flows.zarr", ArrayVolume(lattice.read(Box.of(lattice.extent)).astype(np.float32)))
    np.save("image.npy", image[0])
    tifffile.imwrite("image.tif", image[0])
    Image.fromarray((image[0, 0] // 2).astype(np.uint8)).save("image.png")
    api.save_plan(flows="flows.zarr", output="run.zarr")
    Path("run.zarr.bigcell/cells/status.json").write_text(json.dumps({"state": "stopped", "labels": "cells"}))
    bigcell.segment(flows="flows.zarr", output="done.zarr", cluster="serial")
    bigcell.segment(
        "image.zarr", output="seen.zarr", keep_flows="kept.zarr", diameter=8, cluster="serial", report=False
    )
    Path("file.txt").write_text("text")
    Path("empty").mkdir()
    Path("circle").symlink_to("circle")


def run_all(bench: Bench, chosen: list[Case]) -> list[tuple[Case, Told]]:
    """Each case and what it was told."""
    from bigcell.viewers.neuroglancer import View

    found = []
    with mock.patch.object(View, "wait"):  # a view that can be shown ends at once
        for case in chosen:
            try:
                found.append((case, bench.run(case)))
            except TimeoutError as error:
                found.append((case, Told(1, "", str(error))))
    return found


def line(case: Case, told: Told) -> str:
    """A row of the table."""
    cells = (case.door, case.kind, told.code, told.text)
    return f"| {' | '.join(_cell(str(cell)) for cell in cells)} |"


def _cell(text: str) -> str:
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text).replace("|", "\\|").replace("`", "'")
    return plain if len(plain) <= 300 else f"{plain[:300]} ..."


HEAD = """# Bad inputs that were tried, and what each was told

Made by `python tests/bad_inputs.py`; do not edit. `BAD` in a command is where the bad input went. Code 2 is a refusal
in one sentence, 0 means that the input was taken after all (a default stands in for it, or it is not bad there).

| Command | What is bad | Code | Message |
| --- | --- | --- | --- |
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = run_all(Bench(Path(folder)), list(cases()))
    faults = [(case, told) for case, told in found if told.fault]
    for case, told in faults:
        sys.stderr.write(f"{_cell(case.name)}\n    {told.fault}: {_cell(told.text)}\n")
    sys.stderr.write(f"{len(found)} bad inputs, {len(faults)} without a sentence\n")
    if not faults:
        TABLE.write_text(HEAD + "".join(f"{line(case, told)}\n" for case, told in found))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
