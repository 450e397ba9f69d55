"""`bigcell report`: the page about a run, made again, or made early."""

from __future__ import annotations

from typing import Annotated

import typer

from bigcell.cli import options as o


def report(
    output: o.RunStore,
    labels: o.RunLabels = None,
    work: o.Work = None,
    file: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE.html", help="Write it there; beside the labels by default."),
    ] = None,
) -> None:
    """Write the HTML page about a run: blocks, throughput, memory, sizes, seams, pictures.

    A finished run has one beside its labels (report.html). Of a run that goes on, or has stopped, it tells how far it
    was.
    """
    from bigcell.engine.runs.rebuild_report import make_report

    print(make_report(output, labels, work, file))
