"""Commands that our messages tell to run: they run, and do what was wanted."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.io import imsave
from typer.main import get_command
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.io.formats.pictures import PICTURES, TIFF
from bigcell.io.stores.location import CONVERTIBLE

ROOT = Path(bigcell.__file__).parent
DOORS = ("inspect", "plan", "segment", "view", "evaluate")


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stderr


def test_what_convert_reads_is_written_once() -> None:
    assert TIFF | PICTURES | {".npy"} == CONVERTIBLE


def save(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (12, 14)).astype(np.uint8)
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix in TIFF:
        tifffile.imwrite(path, pixels)
    else:
        imsave(path, pixels, check_contrast=False)


@pytest.mark.parametrize(
    "name", ["a.tif", "my stack.ome.tif", "a.stk", "a.png", "a.npy", "planes/z1.tif", "it's/a.png"]
)
def test_a_file_that_is_no_zarr_is_converted_as_told(tmp_path: Path, name: str) -> None:
    save(tmp_path / name)
    asked = tmp_path / name if not name.startswith("planes") else tmp_path / "planes"
    code, said = run("inspect", asked)
    (told,) = re.findall(r"`(bigcell convert .*)`", said)
    assert code == 2
    _, *words = shlex.split(told)
    assert run(*words)[0] == 0
    assert run("inspect", words[-1])[0] == 0


@pytest.mark.parametrize("kind", [".czi", ".nd2", ".lif", ".mrc", ".ims", ".h5", ""])
@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_told_that_does_not_work(tmp_path: Path, kind: str, door: str) -> None:
    file = tmp_path / f"a{kind}"
    file.write_bytes(b"what the microscope wrote")
    code, said = run(door, file, *([file] if door == "evaluate" else []))
    assert code == 2
    assert "bigcell convert" not in said
    assert "make an OME-Zarr or TIFF of it" in said
    assert run("convert", file, tmp_path / "b.zarr")[0] == 2


def commands() -> dict[str, set[str]]:
    """The verbs that our sources tell people to run, and the options that they name with each."""
    found = defaultdict[str, set[str]](set)
    for text in (file.read_text() for file in sorted(ROOT.rglob("*.py"))):
        for told in re.findall(r"`bigcell ([a-z][^`\n]*)`", text):
            found[told.split()[0]] |= set(re.findall(r"--[a-z-]+", told))
        for verb, options in re.findall(r"""(?<![.@\w])command\("([a-z]+)[a-z ]*"([^()]*)\)""", text):
            found[verb] |= {f"--{name}" for name in re.findall(r"(\w+)=", options)}
    return found


def test_what_messages_tell_to_run_is_there() -> None:
    verbs, told = get_command(app).commands, commands()  # type: ignore[attr-defined]
    assert {"resume", "segment", "convert", "worker", "models"} <= set(told)
    assert told["resume"] >= {"--labels", "--work"}
    for verb, options in told.items():
        below = [verbs[verb], *getattr(verbs[verb], "commands", {}).values()]
        there = {name for command in below for parameter in command.params for name in parameter.opts}
        assert options <= there | {"--help"}, verb
