"""`bigcell evaluate`: how well labels agree with the truth, and which cells went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bigcell.cli import options as o
from bigcell.cli.ending import ENDING
from bigcell.cli.progress import Progress
from bigcell.cli.view import stay
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.paths import local_path

if TYPE_CHECKING:
    from bigcell.core.volume import Volume
    from bigcell.metrics.mistakes import Mistake
    from bigcell.viewers.neuroglancer import View


def evaluate(
    found: Annotated[
        str, typer.Argument(metavar="PRED", help="Labels: OME-Zarr (an image with labels, or labels), TIFF, PNG, .npy.")
    ],
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="The true labels of the same voxels, likewise.")],
    labels: Annotated[str | None, typer.Option("--labels", metavar="NAME", help="Which labels of PRED.")] = None,
    truth_labels: Annotated[
        str | None, typer.Option("--truth-labels", metavar="NAME", help="Which labels of TRUTH.")
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option("--thresholds", metavar="IOU,...", help="IoUs to match at; 0.5,0.55,...,0.95.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="VOXELS", help="How far borders may be apart, in voxels along x.")
    ] = 2.0,
    boxes: Annotated[
        str | None,
        typer.Option("--boxes", metavar="FILE", help="Compare only here: a text file, z0:z1,y0:y1,x0:x1 a line."),
    ] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write the scores as JSON.")] = None,
    errors: Annotated[
        str | None, typer.Option("--errors", metavar="FILE.csv", help="Write a line for each cell that went wrong.")
    ] = None,
    poor: Annotated[
        float, typer.Option("--poor", metavar="IOU", help="Matched cells below this IoU are in that list too.")
    ] = 0.7,
    link: Annotated[
        str | None,
        typer.Option(
            "--link",
            metavar="URL|serve",
            help="Links in that list: of a neuroglancer at this URL (stores at URLs), or served here until Ctrl-C.",
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="PATH", help="The image to show below the labels in links.")
    ] = None,
    time: Annotated[int | None, typer.Option("--time", metavar="N", help="Time point, of several.")] = None,
    axes: Annotated[
        str | None, typer.Option("--axes", metavar="AXES", help="Axes of files that do not say them: zyx.")
    ] = None,
    block: o.Block = None,
    workers: o.Workers = None,
    cluster: o.Cluster = None,
) -> None:
    """Compare labels with the truth, block by block: a table of scores.

    Precision, recall, F1, average precision and panoptic quality at IoU thresholds; aggregated Jaccard, SEG, split and
    merged cells, variation of information, Rand, sizes, boundaries. docs/howto/evaluate.md defines them.
    """
    from bigcell import api
    from bigcell.evaluation.inputs import open_labels
    from bigcell.evaluation.output import check_file, save_mistakes, save_scores
    from bigcell.metrics.mistakes import MistakeSettings
    from bigcell.metrics.scores import THRESHOLDS

    for file in (json, errors):
        if file is not None:
            check_file(file)
    settings = MistakeSettings(poor=poor)
    if link not in (None, "serve") and errors is None:
        raise SettingsError("--link makes links in the list of errors: give --errors FILE.csv as well")
    named = ((found, labels), (truth, truth_labels))
    pred, true = (open_labels(source, name=name, time=time, axes=axes) for source, name in named)
    with _links(link, pred, true, image, time) as (make, view):
        with Progress() as listener, ENDING.keeping(lambda: "nothing was written; evaluate again"):
            done = api.evaluate(
                pred,
                true,
                thresholds=o.reals("--thresholds", thresholds) if thresholds else THRESHOLDS,
                tolerance=tolerance,
                boxes=read_boxes(boxes, true.extent) if boxes else None,
                block=o.three("--block", block) if block else None,
                workers=workers,
                cluster=cluster,
                listener=listener,
            )
        print(done.scores)
        if json is not None:
            save_scores(done, json)
            print(f"\njson       {json}")
        if errors is not None:
            counts = save_mistakes(done, errors, settings, link=make)
            print(f"errors     {errors}: {', '.join(f'{n} {kind}' for kind, n in counts.items())}", flush=True)
        if view is not None:
            print(f"look       {view.url}")
            stay(view)


@contextmanager
def _links(
    where: str | None, found: Volume, truth: Volume, image: str | None, time: int | None
) -> Iterator[tuple[Callable[[Mistake], str] | None, View | None]]:
    """What makes links, and the view that serves them; nothing where none are asked for."""
    if where is None:
        yield None, None
        return
    from bigcell.viewers.comparison import gather, open_links

    with open_links(where, gather(found, truth, image), time=time or 0) as linked:
        yield linked


def read_boxes(path: str, extent: tuple[int, int, int]) -> list[Box]:
    """The boxes of a text file, one a line as for --region; empty lines and what follows a # are passed over."""
    try:
        lines = local_path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text ({error}); wanted z0:z1,y0:y1,x0:x1 on each line") from error
    texts = [text for line in lines if (text := line.partition("#")[0].strip())]
    return [o.region_box(text, extent, f"--boxes {path}:") for text in texts]
