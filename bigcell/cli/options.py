"""Options that several verbs share, and how their text becomes values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bigcell.core.box import Box
from bigcell.core.errors import SettingsError

if TYPE_CHECKING:
    from bigcell.io.ngff.metadata import ImageInfo


def _option(name: str, metavar: str | None, help: str, panel: str | None = None) -> Any:
    return typer.Option(name, metavar=metavar, help=help, rich_help_panel=panel, show_default=False)


Image = Annotated[str | None, typer.Argument(metavar="IMAGE", help="An OME-Zarr image: a folder or a URL.")]
Level = Annotated[int, _option("--level", "N", "Resolution level to work on; 0, the finest, is the default.")]
Channels = Annotated[
    list[str] | None,
    _option(
        "--channel", "NAME", "What to segment, then the nuclei if there are any: names or numbers; grey: the mean."
    ),
]
Time = Annotated[int, _option("--time", "N", "Time point; 0 is the default.")]
Region = Annotated[
    str | None,
    _option("--region", "Z0:Z1,Y0:Y1,X0:X1", "Only this part, in voxels of the level; ':' is all of an axis."),
]
Model = Annotated[str, _option("--model", "NAME", "A name of `bigcell models list`, or a checkpoint's path.")]
Diameter = Annotated[
    str | None, _option("--diameter", "SIZE", "Typical cell diameter: voxels along x (17), microns (8.5um), or auto.")
]
Anisotropy = Annotated[
    float | None, _option("--anisotropy", "RATIO", "Voxel size in z over x; taken from the image if not given.")
]
Flows = Annotated[
    str | None, _option("--flows", "PATH", "OME-Zarr of flows dz, dy, dx and cell probability, instead of a network.")
]
Foreground = Annotated[
    str | None,
    _option(
        "--foreground",
        "MASK|NUMBER",
        "Segment only where this OME-Zarr, of any resolution, is not 0, or where it is brighter than this.",
    ),
]
MinSize = Annotated[
    int | None,
    _option(
        "--min-size", "VOXELS", "Smaller objects are removed; by default under 15, in 3-D a tenth of a diameter's ball."
    ),
]
MaxSize = Annotated[
    int | None, _option("--max-size", "VOXELS", "Larger objects are removed; 0, no limit, is the default.")
]
FlowThreshold = Annotated[
    float | None,
    _option("--flow-threshold", "ERROR", "2-D objects whose flows fit worse are removed; 0.4 by default, 0 is off."),
]
FlowThreshold3D = Annotated[
    float | None, _option("--flow-threshold-3d", "ERROR", "The same for objects of a stack; 0.4 by default, 0 is off.")
]
FillHoles = Annotated[
    bool | None, _option("--fill-holes/--no-fill-holes", None, "Fill what a cell encloses in a plane, or not.")
]
Sampling = Annotated[
    str | None,
    _option(
        "--sampling", "WHERE", "Sample flows at voxel centres (centre, the default), or half off as Cellpose does."
    ),
]
Do3D = Annotated[
    bool | None, _option("--do-3d/--no-do-3d", None, "Segment a stack as a whole (default), or each plane on its own.")
]
StitchThreshold = Annotated[
    float | None,
    _option("--stitch-threshold", "IOU", "Planes on their own, then linked where cells overlap that much, as in 0.25."),
]
Threshold = Annotated[
    float | None, _option("--cellprob-threshold", "LOGIT", "Higher gives fewer and smaller cells; 0 is the default.")
]
Niter = Annotated[int | None, _option("--niter", "STEPS", "Most steps along the flow; more for long cells.")]
Normalize = Annotated[
    bool | None, _option("--normalize/--no-normalize", None, "Percentiles become 0 and 1, or intensities stay.")
]
LowHigh = Annotated[
    list[str] | None,
    _option("--lowhigh", "LOW,HIGH", "Intensities that become 0 and 1, instead of percentiles; once, or per channel."),
]
Percentile = Annotated[str | None, _option("--percentile", "LOW,HIGH", "Percentiles that become 0 and 1; 1,99.")]
Norm3D = Annotated[
    bool | None, _option("--norm3d/--no-norm3d", None, "Percentiles of the volume (default), or of each plane.")
]
Invert = Annotated[bool | None, _option("--invert/--no-invert", None, "Cells are darker than what is around them.")]
SharpenRadius = Annotated[
    float | None, _option("--sharpen-radius", "VOXELS", "Take away the surround: sigma, 1/8 to 1/2 of a diameter.")
]
SmoothRadius = Annotated[float | None, _option("--smooth-radius", "VOXELS", "Smooth planes first: sigma.")]
TileNorm = Annotated[
    int | None, _option("--tile-norm-blocksize", "PIXELS", "Percentiles of tiles of this size; 0, off, by default.")
]
TileNormSmooth = Annotated[
    float | None, _option("--tile-norm-smooth3d", "TILES", "Smooth percentiles of tiles once more; 1 by default.")
]
FillNan = Annotated[
    float | None, _option("--fill-nan", "VALUE", "What voxels that are NaN count as; an error by default.")
]
Block = Annotated[str | None, _option("--block", "Z,Y,X", "Voxels of a unit of work: smaller needs less memory.")]
Tile = Annotated[
    int | None, _option("--tile", "PIXELS", "Side of the network's tiles; 224, or the model's own, is the default.")
]
TileOverlap = Annotated[
    float | None, _option("--tile-overlap", "SHARE", "Least overlap of tiles; 0.15 of their side is the default.")
]
TileLayout = Annotated[
    str, _option("--tile-layout", "HOW", "even (the default): as few tiles as suffice; cellpose: the tiles it has.")
]
Views = Annotated[
    str, _option("--views", "HOW", "average (the default) of the three views' flows, or their sum, as Cellpose has it.")
]
ViewWeights = Annotated[str | None, _option("--view-weights", "YX,ZX,ZY", "How much each view counts; 1,1,1.")]
Augment = Annotated[
    bool, typer.Option("--augment", help="See every tile in four flips, at four times the work.", show_default=False)
]
FlowSmooth = Annotated[
    str | None, _option("--flow3d-smooth", "Z,Y,X", "Smooth the flows: sigma in voxels, one number or three.")
]
Precision = Annotated[
    str, _option("--precision", "TYPE", "auto (the default): bfloat16 where the machine has it; float32; bfloat16.")
]
ModelOrtho = Annotated[str | None, _option("--model-ortho", "NAME", "A model of its own for the views zx and zy.")]
Batch = Annotated[int, _option("--batch", "TILES", "Tiles the network sees at once; 8 is the default.")]
Workers = Annotated[int | None, _option("--workers", "N", "Processes; as many as cores and memory allow by default.")]
Cluster = Annotated[
    str | None,
    _option(
        "--cluster",
        "WHERE",
        "serial, processes, local (dask), slurm:SITE.toml (or lsf, sge, pbs), or a tcp:// scheduler.",
    ),
]
OnBadChunk = Annotated[
    str | None,
    _option("--on-bad-chunk", "WHAT", "fail (the default), or fill: chunks that cannot be read count as empty."),
]
Labels = Annotated[str, _option("--labels", "NAME", "Name of the labels; 'cells' is the default.")]
Output = Annotated[
    str | None,
    _option("--output", "PATH", "A store for the labels, a path, s3:// or gs://; the image's own by default."),
]
RunStore = Annotated[str, typer.Argument(metavar="STORE", help="Where the labels go: --output, or the image.")]
RunLabels = Annotated[str | None, _option("--labels", "NAME", "Which run, where there are several.")]
Work = Annotated[
    str | None,
    _option("--work", "DIR", "Where the run keeps what it has done: beside the store, or here if that is a URL."),
]
Report = Annotated[
    bool, _option("--report/--no-report", None, "Put a page about the run, report.html, beside the labels (default).")
]
PerformanceReport = Annotated[
    str | None, _option("--performance-report", "FILE.html", "Also write dask's own report, of runs on dask.")
]
KeepFlows = Annotated[
    str | None, _option("--keep-flows", "PATH", "Also write the flows to this new OME-Zarr, for `bigcell masks`.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace labels of that name.", show_default=False)]


def work(source: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """The options of `bigcell.plan` among what the command line gave; text is resolved with what `source` says."""
    from bigcell.api import open_volume
    from bigcell.engine.planning.options import Options

    values = {name: given[name] for name in Options.__annotations__ if given.get(name) is not None}
    view = {name: values.pop(name) for name in ("channels", "region") if name in values}
    for name, option in (("view_weights", "--view-weights"), ("flow3D_smooth", "--flow3d-smooth")):
        if name in values:
            values[name] = reals(option, values[name])
    if "foreground" in values:
        values["foreground"] = number_or_path(values["foreground"])
    if "percentile" in values:
        values["percentile"] = pair("--percentile", values["percentile"])
    if "lowhigh" in values:
        values["lowhigh"] = [pair("--lowhigh", text) for text in values["lowhigh"]]
    if "block" in values:
        values["block"] = numbers("--block", values["block"])
    if view:
        if source is None and "flows" not in values:
            raise SettingsError("neither an image nor flows were given; name an OME-Zarr, or give --flows")
        info = open_volume(source or values["flows"]).info
        if "channels" in view:
            values["channels"] = channel_list(view["channels"], info.channels)
        if "region" in view:
            values["region"] = region_box(view["region"], extent_of(info, values.get("level", 0)))
    return values


def changes(given: dict[str, Any]) -> dict[str, Any]:
    """The options of `bigcell.masks` among what the command line gave."""
    from bigcell.engine.planning.options import MaskOptions

    values = {name: given[name] for name in MaskOptions.__annotations__ if given.get(name) is not None}
    if "block" in values:
        values["block"] = numbers("--block", values["block"])
    return values


def extent_of(info: ImageInfo, level: int) -> tuple[int, int, int]:
    """Voxels of a level; a level that is not there is told of by the one who opens it."""
    return info.extent(level if 0 <= level < len(info.levels) else 0)


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas or x.

    >>> numbers("--block", "64,256,256"), numbers("--block", "64x256x256")
    ((64, 256, 256), (64, 256, 256))
    """
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: wanted whole numbers z,y,x, as in 64,256,256") from error


def reals(option: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas.

    >>> reals("--flow3d-smooth", "2,1,1")
    (2.0, 1.0, 1.0)
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: wanted one number or three, as in 2,1,1") from error


def number_or_path(text: str) -> float | str:
    """A number, or else a path as it is.

    >>> number_or_path("120"), number_or_path("./120")
    (120.0, './120')
    """
    try:
        return float(text)
    except ValueError:
        return text


def pair(option: str, text: str) -> tuple[float, float]:
    """Two numbers.

    >>> pair("--percentile", "1,99.5")
    (1.0, 99.5)
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: wanted two numbers, as in 1,99") from error
    return (low, high)


def three(option: str, text: str) -> tuple[int, int, int]:
    """Three whole numbers z, y, x."""
    values = numbers(option, text)
    if len(values) != 3:
        raise SettingsError(f"{option} {text!r}: wanted three whole numbers z,y,x, as in 64,256,256")
    return (values[0], values[1], values[2])


def sizes(option: str, text: str) -> tuple[float, float, float]:
    """Three sizes, z y x.

    >>> sizes("--spacing", "2,0.5,0.5")
    (2.0, 0.5, 0.5)
    """
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: wanted three sizes z,y,x in µm, as in 2,0.5,0.5") from error
    return (z, y, x)


def channel_list(texts: Sequence[str], known: Sequence[str]) -> list[int | str]:
    """Channels from ``--channel`` given again and again, or once with commas. A name wins over a number.

    >>> channel_list(["405,1"], ["405", "488"])
    ['405', 1]
    """
    parts = [part.strip() for text in texts for part in ([text] if text in known else text.split(","))]
    return [int(part) if part.isdecimal() and part not in known else part for part in parts]


def region_box(text: str, extent: tuple[int, int, int], option: str = "--region") -> Box:
    """A box from ``z0:z1,y0:y1,x0:x1``; an end left out is the image's own. Two parts are y and x of a plane.

    >>> region_box("2:4,:,5:", (10, 20, 30))
    Box(start=(2, 0, 5), stop=(4, 20, 30))
    """
    parts = [part.split(":") for part in text.replace(" ", "").split(",")]
    if len(parts) == 2 and extent[0] == 1:
        parts.insert(0, ["", ""])
    try:
        ends = [(int(a or 0), int(b or n)) for (a, b), n in zip(parts, extent, strict=True)]
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: wanted z0:z1,y0:y1,x0:x1, as in 0:64,100:400,:") from error
    if not all(0 <= a < b for a, b in ends):
        raise SettingsError(f"{option} {text!r} holds no voxel: wanted each end above its start, both from 0 on")
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
