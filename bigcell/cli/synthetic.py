"""`bigcell synthetic`: an OME-Zarr of made-up cells with their true labels, to try things on."""

from __future__ import annotations

from typing import Annotated

import typer

from bigcell.cli import options as o
from bigcell.cli.ending import ENDING
from bigcell.core.errors import SettingsError

BYTES = 100
"""Memory for each voxel while cells are made and seen."""


def synthetic(
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="The OME-Zarr to write, cells.zarr.")],
    extent: Annotated[str, typer.Option("--extent", metavar="Z,Y,X", help="Voxels; 1,512,512 is a 2-D image.")],
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="nuclei, cytoplasm, membrane or spindly.")
    ] = "cytoplasm",
    diameter: Annotated[
        float, typer.Option("--diameter", metavar="VOXELS", help="Typical cell diameter, along x.")
    ] = 20.0,
    spacing: Annotated[str, typer.Option("--spacing", metavar="Z,Y,X", help="Voxel size in µm.")] = "1,1,1",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another number gives other cells.")] = 0,
    vary: Annotated[
        bool, typer.Option("--vary", help="Draw tissue, optics and defects at random, as for training.")
    ] = False,
    labels: Annotated[str, typer.Option("--labels", metavar="NAME", help="Name of the true labels.")] = "truth",
    version: Annotated[str, typer.Option("--version", metavar="V", help="OME-Zarr 0.5, or 0.4.")] = "0.5",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an OME-Zarr at OUTPUT.")] = False,
) -> None:
    """Make an image of synthetic cells, with the true labels in it.

    Made in memory: for volumes up to a gigavoxel or so.
    """
    size, voxel = o.three("--extent", extent), o.sizes("--spacing", spacing)
    check(size, seed)
    from bigcell.io.labels.destination import label_name
    from bigcell.io.labels.write_labels import write_labels
    from bigcell.io.ngff.write_image import write_image
    from bigcell.io.stores.staged_folder import check_place
    from bigcell.synthetic import kinds, random_sample, sample_volume

    kinds.check_kind(kind)
    labels = label_name(labels)
    check_place(output, "images", overwrite=overwrite)
    chosen: kinds.Kind = kind  # type: ignore[assignment]  # checked above
    with ENDING.keeping(lambda: f"{output} is as it was, or without labels: make it again with --overwrite"):
        if vary:
            made = random_sample(chosen, seed, extent=size, diameter=diameter, spacing=voxel)
        else:
            look, tissue = kinds.look_of(chosen), kinds.tissue_of(chosen)
            made = sample_volume(size, diameter=diameter, spacing=voxel, seed=seed, look=look, tissue=tissue)
        path = write_image(output, made.volume, version=version, overwrite=overwrite)
        write_labels(path, made.labels, name=labels)
    print(f"{path}: {int(made.labels.max())} cells, labels/{labels}")


def check(extent: tuple[int, int, int], seed: int) -> None:
    """Raise SettingsError for an extent that this machine has no memory for, or a seed that is none."""
    from bigcell.engine.runtime.machine import free_memory

    if min(extent) < 1:
        raise SettingsError(f"--extent {extent}: wanted three sizes z,y,x from 1, as in 64,256,256")
    if seed < 0:
        raise SettingsError(f"--seed {seed}: wanted a whole number from 0 on")
    need, free = extent[0] * extent[1] * extent[2] * BYTES, free_memory()
    if need > free:
        raise SettingsError(f"--extent {extent} needs about {need / 1e9:.1f} GB of memory, {free / 1e9:.1f} are free")
