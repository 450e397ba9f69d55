"""`bigcell convert`: TIFF, folders of planes, PNG, NumPy files and OME-Zarr become OME-Zarr."""

from __future__ import annotations

from typing import Annotated

import typer

from bigcell.cli import options as o
from bigcell.cli.ending import ENDING


def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="TIFF, PNG, .npy, a folder of planes, or OME-Zarr.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="The OME-Zarr to write: brain.zarr, or brain.ozx.")],
    axes: Annotated[
        str | None, typer.Option("--axes", metavar="AXES", help="Axes of the source if it is silent or wrong: zcyx.")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option("--spacing", metavar="Z,Y,X", help="Voxel size in µm if the source does not say it.")
    ] = None,
    names: Annotated[
        str | None, typer.Option("--channel-names", metavar="NAMES", help="Names of the channels: membrane,nuclei.")
    ] = None,
    series: Annotated[
        int | None, typer.Option("--series", metavar="N", help="Which image of a file that holds several.")
    ] = None,
    version: Annotated[
        str,
        typer.Option(
            "--ome-zarr", "--version", metavar="V", help="OME-Zarr 0.5 (sharded), 0.4 for older programs, or 0.6."
        ),
    ] = "0.5",
    chunk: Annotated[str | None, typer.Option("--chunk", metavar="Z,Y,X", help="Voxels of a chunk.")] = None,
    levels: Annotated[int | None, typer.Option("--levels", metavar="N", help="Levels of the pyramid.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an OME-Zarr at OUTPUT.")] = False,
) -> None:
    """Turn SOURCE into OME-Zarr with a pyramid, in bounded memory."""
    from bigcell import api

    with ENDING.keeping(lambda: f"{output} is as it was; convert again"):
        path = api.convert(
            source,
            output,
            axes=axes,
            spacing_um=o.sizes("--spacing", spacing) if spacing else None,
            channels=[n.strip() for n in names.split(",")] if names else None,
            series=series,
            version=version,
            chunk=o.three("--chunk", chunk) if chunk else None,
            levels=levels,
            overwrite=overwrite,
        )
    print(path)
