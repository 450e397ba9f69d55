"""`bigcell rerun`: make the labels of a record again."""

from __future__ import annotations

from typing import Annotated

import typer

from bigcell.cli import options as o
from bigcell.cli.progress import Progress, resumable, tell


def rerun(
    record: Annotated[str, typer.Argument(metavar="RECORD", help="record.json, or the labels' folder that holds it.")],
    output: o.Output = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="NAME", help="Another name; the record's own by default.")
    ] = None,
    overwrite: o.Overwrite = False,
    work: o.Work = None,
    workers: o.Workers = None,
    cluster: o.Cluster = None,
) -> None:
    """Make the labels of a record again, and compare.

    With the record's image, model and settings; different labels are an error.
    """
    from bigcell import api

    with resumable(output, work, labels), Progress() as listener:
        result = api.rerun(
            record,
            output=output,
            labels=labels,
            overwrite=overwrite,
            work=work,
            workers=workers,
            cluster=cluster,
            listener=listener,
        )
    tell(result)
    print("the labels are the same as those of the record")
