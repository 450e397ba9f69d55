"""`bigcell models list | fetch | info | export`: the published models, on this machine or to be had, and your own."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from bigcell.cli.ending import ENDING
from bigcell.core.errors import ModelError
from bigcell.core.format import command

if TYPE_CHECKING:
    from bigcell.networks.catalogue import Entry

models = typer.Typer(rich_markup_mode=None)


@models.callback(invoke_without_command=True)
def tell_what_there_is(context: typer.Context) -> None:
    """Published models by name: what there is, bring one here, look into one, hand one on."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@models.command("list")
def list_models() -> None:
    """What models there are, which are on this machine, and on what terms."""
    from bigcell.networks.cache import cache_folder, locate
    from bigcell.networks.catalogue import CATALOGUE
    from bigcell.networks.source import BUNDLED

    rows = [(name, "here", "CPnet", "BSD-3-Clause", f"{about}; comes with bigcell") for name, about in BUNDLED.items()]
    for entry in CATALOGUE.values():
        here = "here" if locate(entry.weights) else "-"
        rows.append((entry.name, here, entry.kind, entry.licence.split(" use:")[0], entry.about))
    print("\n".join(f"{name:<26}{here:<6}{kind:<14}{terms:<16}{about}" for name, here, kind, terms, about in rows))
    for licence in dict.fromkeys(entry.licence for entry in CATALOGUE.values()):
        print(f"\n{licence}")
    print(f"`bigcell models fetch NAME` brings one to {cache_folder()}")


@models.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models of `bigcell models list`.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Only check what is here; also BIGCELL_OFFLINE=1.", show_default=False)
    ] = False,
) -> None:
    """Bring published models to this machine, and check them.

    A download that breaks off goes on where it was. What is here already is checked and left.
    """
    from bigcell.networks.catalogue import CATALOGUE
    from bigcell.networks.fetch import fetch as bring

    unknown = [name for name in names if name not in CATALOGUE]
    if unknown:
        raise ModelError(f"{', '.join(unknown)}: no published model has this name; see `bigcell models list`")
    again = shlex.join(["bigcell", "models", "fetch", *names])
    for entry in (CATALOGUE[name] for name in names):
        print(f"{entry.name}: {entry.licence}", file=sys.stderr)
        with _Bars() as bars, ENDING.keeping(lambda: f"what is here is kept: go on with `{again}`"):
            paths = bring(entry, offline=offline, report=bars.report)
        for path in paths:
            print(path)


class _Bars:
    """A bar for each file while it comes, on stderr."""

    def __init__(self) -> None:
        self._bar: object = None
        self._name = ""
        self._close: Callable[[], None] = lambda: None

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def report(self, name: str, done: int, total: int) -> None:
        """`done` of `total` bytes of the file `name` are here."""
        from tqdm import tqdm

        if name != self._name:
            self._close()
            bar = tqdm(total=total or None, desc=name, unit="B", unit_scale=True, file=sys.stderr)
            self._bar, self._name, self._close = bar, name, bar.close
        assert isinstance(self._bar, tqdm)
        self._bar.update(done - self._bar.n)


@models.command()
def info(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or the path of a checkpoint.")],
) -> None:
    """What a model is: its network, channels, cell diameter, hash, terms."""
    from bigcell.networks.cache import locate
    from bigcell.networks.catalogue import CATALOGUE

    entry = CATALOGUE.get(model)
    if entry is not None and locate(entry.weights) is None:
        rows = [("model", f"{entry.name}, not on this machine: `{command('models fetch', entry.name)}`")]
        rows += [("network", entry.kind), ("diameter", f"{entry.diameter:g} pixels")]
    else:
        rows = _facts(model)
    rows += [] if entry is None else _published(entry)
    print("\n".join(f"{name:<11}{text}" for name, text in rows))


def _facts(model: str) -> list[tuple[str, str]]:
    """What the file of a model says of it."""
    from bigcell.networks.registry import load_model
    from bigcell.networks.source import BUNDLED, find_model

    source, found = find_model(model), load_model(model)
    weights = sum(value.numel() for value in found.network.parameters())
    tiles = f"{found.tile} x {found.tile}" if found.tile else f"multiples of {found.stride}"
    place = "comes with bigcell, BSD-3-Clause" if source.name in BUNDLED else str(source.path)
    return [
        ("model", f"{found.name}, {place}"),
        ("network", f"{found.kind}, {weights / 1e6:.1f} million weights"),
        ("channels", str(found.channels)),
        ("diameter", f"{found.diameter:g} pixels"),
        ("tiles", f"{tiles} pixels"),
        ("sha256", found.sha256),
    ]


def _published(entry: Entry) -> list[tuple[str, str]]:
    """What the catalogue says of a model."""
    rows = [("about", entry.about), ("licence", entry.licence)]
    for file in entry.files:
        size = f", {file.size / 1e6:.0f} MB" if file.size else ""
        known = f", SHA-256 {file.sha256[:12]}" if file.sha256 else ", SHA-256 recorded when it is first fetched"
        rows.append(("from", f"{file.url}{size}{known}"))
    return rows


@models.command()
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or the path of a checkpoint.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The file to write, such as model.pt.")],
    form: Annotated[
        str, typer.Option("--format", metavar="WHAT", help="cellpose3: for CellposeModel of Cellpose 3.1.")
    ] = "cellpose3",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.", show_default=False)] = False,
) -> None:
    """Write a model as another package loads it; it gives the same numbers there."""
    from bigcell.training.output.export import export_model

    print(export_model(model, out, form=form, overwrite=overwrite))
