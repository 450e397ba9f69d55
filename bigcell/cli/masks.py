"""`bigcell masks`: labels again, from flows that were kept."""

from __future__ import annotations

from typing import Annotated

import typer

from bigcell.cli import options as o
from bigcell.cli.progress import Progress, resumable, tell


def masks(
    flows: Annotated[str, typer.Argument(metavar="FLOWS", help="The OME-Zarr that `segment --keep-flows` wrote.")],
    labels: o.Labels = "cells",
    output: o.Output = None,
    overwrite: o.Overwrite = False,
    cellprob_threshold: o.Threshold = None,
    min_size: o.MinSize = None,
    max_size: o.MaxSize = None,
    flow_threshold: o.FlowThreshold = None,
    flow_threshold_3d: o.FlowThreshold3D = None,
    fill_holes: o.FillHoles = None,
    sampling: o.Sampling = None,
    do_3D: o.Do3D = None,  # noqa: N803 - Cellpose's name
    stitch_threshold: o.StitchThreshold = None,
    niter: o.Niter = None,
    block: o.Block = None,
    on_bad_chunk: o.OnBadChunk = None,
    work: o.Work = None,
    workers: o.Workers = None,
    cluster: o.Cluster = None,
) -> None:
    """Make labels again with other thresholds, without the network, from FLOWS that a run kept.

    What is not said is as it was in that run. The labels go where that run's went, under --labels NAME.
    """
    changes = o.changes(locals())
    from bigcell import api

    with resumable(output, work, labels), Progress() as listener:
        result = api.masks(
            flows,
            output=output,
            labels=labels,
            overwrite=overwrite,
            work=work,
            workers=workers,
            cluster=cluster,
            listener=listener,
            **changes,
        )
    tell(result)
