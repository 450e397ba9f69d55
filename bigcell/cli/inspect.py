"""`bigcell inspect`: what an OME-Zarr holds, without reading a voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bigcell.io.ngff.metadata import ImageInfo


def inspect(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An OME-Zarr image: a folder or a URL.")],
    repair: Annotated[
        bool, typer.Option("--mend", help="First mend labels whose metadata igneous or cloud-volume wrote anew.")
    ] = False,
) -> None:
    """Tell what an image holds, without reading its voxels.

    Axes, voxel size, channels, levels and labels; of a plate, a well or a collection, its images.
    """
    from bigcell.core.errors import InputError, SeveralImagesError
    from bigcell.io.labels.rewritten import how_to_mend, is_rewritten, mend
    from bigcell.io.ngff.image import read_info
    from bigcell.io.ngff.roots import images_of
    from bigcell.io.stores.urls import absolute, joined, without_credentials

    place = absolute(image)
    if repair:
        mend(place)
    elif is_rewritten(place):
        raise InputError(how_to_mend(place))
    try:
        print(describe(read_info(place)))
    except SeveralImagesError:
        for below in images_of(place):
            print(joined(without_credentials(place), below))


def describe(info: ImageInfo) -> str:
    """An image in a few lines."""
    from bigcell.io.stores.urls import without_credentials

    space, rows = info.spacing(), [("image", without_credentials(info.source))]
    rows.append(("format", f"OME-Zarr {info.version}, zarr {info.zarr_format}, {info.levels[0].dtype}"))
    rows.append(("size", " x ".join(f"{n} {a}" for a, n in zip(info.axes, info.levels[0].shape, strict=True))))
    rows.append(("voxel", space.described(info.axes)))
    rows += [("", text) for text in space.origins(info.axes)]
    rows.append(("channels", ", ".join(f"{i}: {n}" if n != str(i) else n for i, n in enumerate(info.channels))))
    for number, level in enumerate(info.levels):
        stored = f"chunks {_by(level.chunks)}" + (f" in shards {_by(level.shards)}" if level.shards else "")
        rows.append((f"level {number}", f"{_by(level.shape)}, {stored}"))
    rows += [("labels", _labels(info, name)) for name in info.labels] or [("labels", "none")]
    rows += [("listed", f"{name!r}, but no labels of that name are there") for name in info.stale]
    return "\n".join(f"{name:<9} {text}" for name, text in rows)


def _labels(info: ImageInfo, name: str) -> str:
    """A name, with the number of objects where a run record tells it."""
    from bigcell.engine.runs.ended import finished
    from bigcell.io.labels.rewritten import how_to_mend, is_rewritten
    from bigcell.io.stores.urls import joined

    if is_rewritten(place := joined(info.source, "labels", name)):
        return f"{name}: {how_to_mend(place)}"
    try:
        result = finished(info.source, name)
    except (OSError, ValueError, KeyError):  # made by others, or damaged: the name is still worth telling
        return name
    return f"{name}: {result.objects} objects" if result is not None else name


def _by(values: tuple[int, ...]) -> str:
    return " x ".join(map(str, values))
