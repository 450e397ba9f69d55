"""`bigcell resume`: go on with a run that stopped."""

from __future__ import annotations

from bigcell.cli import options as o
from bigcell.cli.progress import Progress, resumable, tell


def resume(
    output: o.RunStore,
    labels: o.RunLabels = None,
    work: o.Work = None,
    workers: o.Workers = None,
    cluster: o.Cluster = None,
    performance_report: o.PerformanceReport = None,
) -> None:
    """Go on with a run that was stopped or failed. What was finished is not done again; the labels are the same."""
    from bigcell import api

    with resumable(output, work, labels), Progress() as listener:
        result = api.resume(
            output,
            labels=labels,
            work=work,
            workers=workers,
            cluster=cluster,
            performance_report=performance_report,
            listener=listener,
        )
    tell(result)
