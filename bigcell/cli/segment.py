"""`bigcell segment`: image in, labels out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bigcell.cli import options as o
from bigcell.cli.progress import resumable, tell
from bigcell.cli.worker import tell_plan
from bigcell.core.errors import SettingsError


def segment(
    image: o.Image = None,
    diameter: o.Diameter = None,
    channels: o.Channels = None,
    output: o.Output = None,
    labels: o.Labels = "cells",
    overwrite: o.Overwrite = False,
    keep_flows: o.KeepFlows = None,
    work: o.Work = None,
    report: o.Report = True,
    level: o.Level = 0,
    time: o.Time = 0,
    region: o.Region = None,
    model: o.Model = "nuclei",
    anisotropy: o.Anisotropy = None,
    foreground: o.Foreground = None,
    flows: o.Flows = None,
    cellprob_threshold: o.Threshold = 0.0,
    min_size: o.MinSize = None,
    max_size: o.MaxSize = 0,
    flow_threshold: o.FlowThreshold = None,
    flow_threshold_3d: o.FlowThreshold3D = None,
    fill_holes: o.FillHoles = None,
    sampling: o.Sampling = None,
    do_3D: o.Do3D = None,  # noqa: N803 - Cellpose's name
    stitch_threshold: o.StitchThreshold = None,
    niter: o.Niter = None,
    normalize: o.Normalize = None,
    lowhigh: o.LowHigh = None,
    percentile: o.Percentile = None,
    norm3D: o.Norm3D = None,  # noqa: N803 - Cellpose's word
    invert: o.Invert = None,
    sharpen_radius: o.SharpenRadius = None,
    smooth_radius: o.SmoothRadius = None,
    tile_norm_blocksize: o.TileNorm = None,
    tile_norm_smooth3D: o.TileNormSmooth = None,  # noqa: N803
    fill_nan: o.FillNan = None,
    block: o.Block = None,
    model_ortho: o.ModelOrtho = None,
    views: o.Views = "average",
    view_weights: o.ViewWeights = None,
    augment: o.Augment = False,
    flow3D_smooth: o.FlowSmooth = None,  # noqa: N803
    tile: o.Tile = None,
    tile_overlap: o.TileOverlap = None,
    tile_layout: o.TileLayout = "even",
    batch: o.Batch = 8,
    precision: o.Precision = "auto",
    on_bad_chunk: o.OnBadChunk = None,
    workers: o.Workers = None,
    cluster: o.Cluster = None,
    performance_report: o.PerformanceReport = None,
    picture: Annotated[
        str | None, typer.Option("--picture", metavar="PNG", help="Also write slices with outlines to this file.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Plan, and leave the work to `bigcell worker`.", show_default=False)
    ] = False,
) -> None:
    """Find the cells in IMAGE. The labels go into the image's own store, or to --output.

    Memory stays within what the blocks and workers need, whatever the size of the image; labels do not depend on
    blocks, workers or order. If it stops, `bigcell resume` goes on from there.
    """
    arguments = o.work(image, locals())
    from bigcell import api
    from bigcell.evaluation.output import check_file
    from bigcell.io.stores.urls import is_url

    store = output or image or flows
    if picture is not None and store is not None and is_url(store):
        raise SettingsError(f"--picture is drawn from labels on a disk, these go to {store}; leave it out")
    if picture is not None:
        check_file(picture)
    for_both: Any = {
        "output": output,
        "labels": labels,
        "overwrite": overwrite,
        "keep_flows": keep_flows,
        "work": work,
        "report": report,
        "workers": workers,
        **arguments,
    }
    if plan_only:
        if (cluster, picture, performance_report) != (None, None, None):
            raise SettingsError(
                "--plan-only does no work: --cluster, --picture and --performance-report are not for it; leave them out"
            )
        tell_plan(api.save_plan(image, **for_both), str(store), labels, work)
        return
    with resumable(store, labels, work) as listener:
        result = api.segment(
            image, cluster=cluster, performance_report=performance_report, listener=listener, **for_both
        )
    tell(result)
    if picture is not None and result.path is not None:
        from bigcell.viewers.figures import store_figure

        print(f"picture  {store_figure(result.path, picture, image=image)}")
