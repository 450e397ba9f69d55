"""`bigcell plan`: what segmenting would do and cost, before anything is done."""

from __future__ import annotations

from typing import Annotated

import typer

from bigcell.cli import options as o


def plan(
    image: o.Image = None,
    diameter: o.Diameter = None,
    channels: o.Channels = None,
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
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.", show_default=False)] = False,
) -> None:
    """Tell what `segment` would do, and what it would cost.

    Takes the same options, tells blocks, memory, disk and time, and writes nothing.
    """
    arguments = o.work(image, locals())
    from bigcell import api

    planned = api.plan(image, workers=workers, **arguments)
    if json:
        from json import dumps

        print(dumps(planned.to_json(), indent=1))
    else:
        print(planned)
