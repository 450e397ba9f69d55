"""Images that are not TIFF stacks: single pictures, folders of planes, .npy files and arrays, as volumes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from skimage.io import imread

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array, ArrayVolume, Volume
from bigcell.io.stacks import Stack, array_volumes, check_dtype, checked_axes, doubtful_axes
from bigcell.io.tiff import open_tiff

TIFF = {".tif", ".tiff", ".lsm", ".stk"}
PICTURES = {".png", ".jpg", ".jpeg", ".bmp"}


@dataclass(frozen=True)
class PlanesVolume:
    """One picture a plane, in order of z. Picklable: files are opened when they are read."""

    files: tuple[Path, ...]
    plane: Stack
    dtype: np.dtype[Any]

    @property
    def extent(self) -> tuple[int, int, int]:
        return (len(self.files), *self.plane.extent[1:])

    @property
    def channels(self) -> tuple[str, ...]:
        return self.plane.names

    @property
    def spacing(self) -> Spacing:
        return self.plane.spacing

    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)``; each of its planes is read from its file."""
        flat = Box((0, *box.start[1:]), (1, *box.stop[1:]))
        planes = [self._plane(path).read(flat) for path in self.files[box.start[0] : box.stop[0]]]
        return np.concatenate(planes, axis=1)

    def _plane(self, path: Path) -> Volume:
        volume = _one_plane(path, self.spacing)
        if (volume.extent, volume.dtype, len(volume.channels)) != (
            (1, *self.extent[1:]),
            self.dtype,
            len(self.channels),
        ):
            raise InputError(
                f"{path} is {volume.dtype} {volume.extent[1:]} with {len(volume.channels)} channels, the first plane "
                f"{self.dtype} {self.extent[1:]} with {len(self.channels)}; wanted all alike"
            )
        return volume


def open_folder(path: Path, *, axes: str | None = None, spacing: Spacing | None = None) -> tuple[PlanesVolume, ...]:
    """A folder of planes, one picture each, as a volume: sorted by the numbers in their names."""
    files = [f for f in path.iterdir() if f.suffix.lower() in TIFF | PICTURES and not f.name.startswith(".")]
    files.sort(key=lambda f: _natural(f.name))
    if not files:
        raise InputError(f"{path} holds no images ({', '.join(sorted(TIFF | PICTURES))}); check the path")
    if axes not in (None, "zyx", "zyxs"):
        raise InputError(f"a folder of planes has axes 'zyx', not {axes!r}; for time or channels convert them apart")
    if axes is None and len(varying := _varying_numbers([f.stem for f in files])) > 1:
        raise InputError(
            f"the names in {path} differ in {len(varying)} numbers ({files[0].name} ... {files[-1].name}), wanted one, "
            "the plane; keep only one channel and time point in the folder, or say axes='zyx' if the order is right"
        )
    first = _one_plane(files[0], spacing)
    names = first.channels
    stack = Stack("cyx", (len(names), *first.extent[1:]), first.spacing, names)
    return (PlanesVolume(tuple(files), stack, first.dtype),)


def open_picture(path: Path, *, axes: str | None = None, spacing: Spacing | None = None) -> tuple[ArrayVolume, ...]:
    """A single PNG, JPEG or BMP. Transparency is dropped: it is no signal."""
    try:
        pixels = np.asarray(imread(path))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except Exception as error:  # each format has errors of its own
        raise InputError(f"{path} cannot be read as an image ({str(error)[:200]!r}); it may be damaged") from error
    if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return open_array(pixels, axes=axes or ("yx" if pixels.ndim == 2 else "yxs"), spacing=spacing, shown=str(path))


def open_npy(path: Path, *, axes: str | None = None, spacing: Spacing | None = None) -> tuple[ArrayVolume, ...]:
    """A .npy file, mapped: its voxels stay on disk until they are read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path} is not a .npy file of numbers ({str(error)[:200]}); save it with np.save") from error
    return open_array(array, axes=axes, spacing=spacing, shown=str(path))


def open_array(
    array: Array, *, axes: str | None = None, spacing: Spacing | None = None, shown: str = "the array"
) -> tuple[ArrayVolume, ...]:
    """An array as one volume a time point. Without `axes` it is (y, x), (z, y, x) or (channel, z, y, x)."""
    check_dtype(array.dtype.kind, shown=shown)
    doubt = (array.ndim >= 3 and array.shape[-1] <= 4) or doubtful_axes(array.shape)
    found = {2: "yx", 3: "zyx", 4: "czyx"}.get(array.ndim, "?") if not doubt else "?"
    letters = checked_axes(found, array.shape, axes, shown=shown)
    return array_volumes(array, Stack(letters, array.shape, spacing or Spacing(known=False)), shown=shown)


def _one_plane(path: Path, spacing: Spacing | None) -> Volume:
    opener = open_tiff if path.suffix.lower() in TIFF else open_picture
    volumes: tuple[Volume, ...] = opener(path, spacing=spacing)
    if len(volumes) != 1 or volumes[0].extent[0] != 1:
        raise InputError(f"{path} holds more than one plane, wanted one a file; convert it by itself")
    return volumes[0]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts z2 before z10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name.lower())]


def _varying_numbers(stems: list[str]) -> set[int]:
    numbers = [re.findall(r"\d+", stem) for stem in stems]
    shortest = min(map(len, numbers))
    return {i for i in range(shortest) if len({row[i] for row in numbers}) > 1}
