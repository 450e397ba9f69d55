"""Build the wheel and the sdist, and try the wheel in environments of its own; ./scripts/package calls this.

    python scripts/try_package.py [--python VERSION ...] [--packages lowest|newest] [--keep FOLDER]

Without options: the oldest and the newest Python that scripts/python finds, each with the newest packages, and the
oldest also with the lowest, which are older than later Pythons. torch is the one that scripts/env pins. In each
environment every module is imported, the demo job runs, the models that come with bigcell are loaded by name, and mypy
has to see the types of bigcell.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
"""Pythons that are looked for, oldest first."""
MYPY = "mypy>=1.15"
TYPED = "from bigcell import BigcellError, plan\n\nreveal_type(plan)\nreveal_type(BigcellError())\n"
EXTENT = ("--extent", "16", "96", "96")
"""Of the demo's volume: of more than one block, and otherwise small."""
MODULES = """
import pkgutil, importlib, bigcell
names = [m.name for m in pkgutil.walk_packages(bigcell.__path__, "bigcell.")]
names = [n for n in names if not n.endswith(("_triton", "__main__"))]
for name in names:
    importlib.import_module(name)
print(len(names), "modules imported")
"""
BUNDLED = "from bigcell.networks.source import BUNDLED; print(*BUNDLED)"


@dataclass(frozen=True)
class Trial:
    """One environment: a version of Python, with the "lowest" or the "newest" packages."""

    version: str
    packages: str

    def __str__(self) -> str:
        return f"Python {self.version}, {self.packages} packages"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="VERSION", help="this one (several times)")
    parser.add_argument("--packages", choices=("lowest", "newest"), help="these alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a folder for all that is made, which stays")
    options = parser.parse_args(arguments)
    versions = options.python or [version for version in VERSIONS if interpreter(version)]
    if not versions:
        parser.error(f"this machine has none of Python {', '.join(VERSIONS)}, wanted one at least")
    chosen = [t for t in trials(versions) if options.packages in (None, t.packages)]
    if options.python and options.packages:
        chosen = [Trial(version, options.packages) for version in versions]
    with TemporaryDirectory() as folder:
        home = (options.keep or Path(folder)).resolve()
        wheel = built(home / "dist")
        for trial in chosen:
            begun = time.monotonic()
            tried(trial, wheel, home / f"{trial.version}-{trial.packages}")
            print(f"{trial}: all of it works ({time.monotonic() - begun:.0f} s)", flush=True)
    return 0


def trials(versions: Sequence[str]) -> list[Trial]:
    """The oldest Python with both kinds of packages, the newest with the newest.

    >>> [str(trial) for trial in trials(["3.11", "3.12", "3.13"])][1:]
    ['Python 3.11, newest packages', 'Python 3.13, newest packages']
    """
    oldest, newest = versions[0], versions[-1]
    return list(dict.fromkeys([Trial(oldest, "lowest"), Trial(oldest, "newest"), Trial(newest, "newest")]))


def interpreter(version: str) -> str:
    """Where that Python is; nothing if this machine has none."""
    found = subprocess.run([str(ROOT / "scripts" / "python"), version], capture_output=True, text=True)
    return found.stdout.strip()


def lowest(dependencies: Sequence[str]) -> list[str]:
    """The lowest releases that `dependencies` allow, as constraints for pip; torch has a pin of its own.

    >>> lowest(["numpy>=2,<2.6", "torch>=2.6", "tqdm>=4.66"])
    ['numpy==2', 'tqdm==4.66']
    """
    found = {line: re.match(r"([\w.-]+)>=([\w.]+)", line) for line in dependencies}
    open_ones = [line for line, match in found.items() if match is None]
    if open_ones:
        raise ValueError(f"{', '.join(open_ones)} in pyproject.toml has no lowest version: give one (name>=version)")
    return [f"{match[1]}=={match[2]}" for match in found.values() if match and match[1] != "torch"]


def core_dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [str(line) for line in project["dependencies"]]


def built(dist: Path) -> Path:
    """The wheel, made from the sdist, so that both are known to be whole."""
    call([sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT)], quiet=True)
    (wheel,) = dist.glob("bigcell-*.whl")
    (sdist,) = dist.glob("bigcell-*.tar.gz")
    for made in (sdist, wheel):
        print(f"{made.name}: {made.stat().st_size / 1e6:.1f} MB", flush=True)
    return wheel


def tried(trial: Trial, wheel: Path, home: Path) -> None:
    """Everything that a stranger does, in a new environment in `home`. Raises CalledProcessError where a step fails."""
    use(installed(trial, wheel, home), home)


def use(python: str, home: Path) -> None:
    """Import every module, run the demo job, load the models, and look at the types, all in `home`."""
    call([python, "-c", MODULES], home)
    call([python, str(ROOT / "examples" / "01_first_volume.py"), "--folder", "demo", *EXTENT], home)
    names = call([python, "-c", BUNDLED], home, quiet=True).split()
    call([python, str(ROOT / "scripts" / "try_models.py"), "--inside", "--only", *names], home)
    call([python, "-m", "pip", "install", "-q", MYPY], home)
    (home / "typed.py").write_text(TYPED)
    check_types(call([python, "-m", "mypy", "--strict", "--follow-imports=silent", "typed.py"], home, quiet=True))


def installed(trial: Trial, wheel: Path, home: Path) -> str:
    """The interpreter of a new environment with the wheel and the packages of `trial`."""
    home.mkdir(parents=True)
    call([interpreter(trial.version), "-m", "venv", str(home / "env")])
    python = str(home / "env" / "bin" / "python")
    pinned = re.search(r'"(torch==[^"]+)"', (ROOT / "scripts" / "env").read_text())
    limits = home / "constraints.txt"
    limits.write_text("\n".join(lowest(core_dependencies()) if trial.packages == "lowest" else []) + "\n")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(limits)]
    call([*pip, pinned[1] if pinned else "torch"])
    call([*pip, str(wheel)])
    return python


def check_types(said: str) -> None:
    """Refuse what mypy says of the names of bigcell if that is nothing, as it is without py.typed."""
    print(said.strip(), flush=True)
    if "-> bigcell.engine.planning.plan.Plan" not in said or "py.typed" in said or "missing" in said:
        raise SystemExit("mypy does not see the types of bigcell")


def call(words: Sequence[str], cwd: Path | None = None, *, quiet: bool = False) -> str:
    """Run it without our own folder on its path; what it printed. Printed here too, unless `quiet`."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(words, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE)
    if not quiet or done.returncode:
        print(done.stdout, end="", flush=True)
    done.check_returncode()
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
