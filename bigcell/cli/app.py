"""The verbs gathered, and one line on stderr with an exit code for everything that can go wrong.

0 done · 1 a bug or the machine · 2 wrong input or usage · 3 blocks failed while running
130 interrupted (Ctrl-C) · 143 ended by SIGTERM · 129 by SIGHUP
"""

from __future__ import annotations

import errno
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bigcell import __version__
from bigcell.cli.convert import convert
from bigcell.cli.ending import ENDING, NOTHING
from bigcell.cli.evaluate import evaluate
from bigcell.cli.inspect import inspect
from bigcell.cli.masks import masks
from bigcell.cli.models import models
from bigcell.cli.plan import plan
from bigcell.cli.report import report
from bigcell.cli.rerun import rerun
from bigcell.cli.resume import resume
from bigcell.cli.segment import segment
from bigcell.cli.status import status
from bigcell.cli.synthetic import synthetic
from bigcell.cli.train import train
from bigcell.cli.view import view
from bigcell.cli.worker import worker
from bigcell.core.errors import BigcellError, BlockError
from bigcell.core.unknown_options import cellpose_answer, flag

REFUSED = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EROFS}
"""How a file system says that a path will not do."""
DONE, UNEXPECTED, WRONG, BLOCKS_FAILED, INTERRUPTED = 0, 1, 2, 3, 130


class _BrokenOffError(Exception):
    """What click would turn into an `Abort`, with an empty line on stderr: a KeyboardInterrupt or an EOFError."""


class Verbs(TyperGroup):
    """The verbs, with errors told our way. ``--debug`` may stand anywhere."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args)
        before = words[: words.index("--")] if "--" in words else words
        debug = "--debug" in before
        words = [w for w in before if w != "--debug"] + words[len(before) :]
        options["standalone_mode"] = False
        try:
            code = super().main(words or ["--help"], *rest, **options)
        except (Exception, KeyboardInterrupt) as caught:
            error = caught.__cause__ if isinstance(caught, _BrokenOffError) and caught.__cause__ else caught
            if debug:
                traceback.print_exception(error)
            code, text = explain(error)
            print(f"bigcell: {printable(' '.join(text.split()))}", file=sys.stderr)
        if ENDING.number:
            sys.stdout.flush()
            ENDING.end(ENDING.number)
        sys.exit(code if isinstance(code, int) else DONE)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, EOFError) as error:
            raise _BrokenOffError from error

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of work, not of the alphabet."""
        return list(self.commands)


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code and the sentence for an error.

    >>> explain(BlockError("follow_flows of 3 failed"))
    (3, 'follow_flows of 3 failed')
    """
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED, f"interrupted; {error if error.args else NOTHING}"
    if isinstance(error, BlockError):
        return BLOCKS_FAILED, str(error)
    if isinstance(error, BigcellError):
        return WRONG, str(error)
    if hasattr(error, "format_message"):  # the parser's own
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "bigcell"
        return WRONG, f"{_instead(error) or error.format_message().rstrip('.')}; see `{where} --help`"
    if isinstance(error, OSError) and error.errno in REFUSED and error.filename is not None:
        return WRONG, f"{error.filename}: {error.strerror}; give another path, or ask for access to this one"
    if isinstance(error, MemoryError):
        return UNEXPECTED, "out of memory: use smaller --block, or fewer --workers"
    return UNEXPECTED, f"unexpected {type(error).__name__}: {error} (--debug shows where)"


def _instead(error: Any) -> str:
    """What to write for an option that Cellpose has, or that has other dashes here; "" for any other error."""
    context, option = getattr(error, "ctx", None), getattr(error, "option_name", None)
    if not option or context is None:
        return ""
    name, verb = option.lstrip("-"), context.info_name or ""
    found, known = f"there is no option {option}; ", _flags(context.command)
    if (ours := flag(name, verb)) in known:
        return f"{found}instead: {ours}"
    if answer := cellpose_answer(name.replace("-", "_"), verb, flags=True):
        flags = re.findall(r"--[\w-]+", re.sub("`.*?`", "", answer))
        theirs = set(flags) <= known or answer.endswith("`)")
        return f"{found}{answer}" + ("" if theirs else " (of `bigcell segment`)")
    others = getattr(context.find_root().command, "commands", {})
    having = [each for each in ("segment", "train") if each in others and flag(name, each) in _flags(others[each])]
    return f"{found}instead: {flag(name, having[0])} (of `bigcell {having[0]}`)" if having else ""


def _flags(command: Any) -> set[str]:
    """All that a verb takes, as it is written."""
    return {each for parameter in command.params for each in (*parameter.opts, *parameter.secondary_opts)}


def printable(text: str) -> str:
    r"""`text` with nothing in it that a terminal would obey, or could not show.

    >>> printable("cells \x1b[31m")
    'cells \\x1b[31m'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for verb in (
    inspect,
    convert,
    plan,
    segment,
    masks,
    train,
    evaluate,
    view,
    status,
    report,
    resume,
    worker,
    rerun,
    synthetic,
):
    app.command()(verb)
app.add_typer(models, name="models")


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def bigcell(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Find the cells in images of any size: Cellpose's method, from OME-Zarr to seamless OME-Zarr labels.

    \b
    bigcell convert stack.tif brain.zarr                 once, if your image is not OME-Zarr
    bigcell plan brain.zarr --diameter 17                what it would cost
    bigcell segment brain.zarr --diameter 17             labels go to brain.zarr/labels/cells
    bigcell view brain.zarr                              look at them in the browser
    """
