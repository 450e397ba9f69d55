"""Images that are not TIFF stacks: single pictures, folders of planes, .npy files and arrays, as volumes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from imageio.v3 import imread

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array, ArrayVolume, Volume, check_inside
from bigcell.io.formats.stacks import USUAL, Stack, array_volumes, check_dtype, check_usual, checked_axes
from bigcell.io.formats.tiff import open_tiff
from bigcell.io.formats.tiff_sets import set_of

TIFF = {".tif", ".tiff", ".lsm", ".stk"}
PICTURES = {".png", ".jpg", ".jpeg", ".bmp"}
PNG = b"\x89PNG\r\n\x1a\n"
FORMATS = "pip install 'bigcell[formats]'"


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
        check_inside(box, self.extent)
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


def open_folder(path: Path, *, axes: str | None = None, spacing: Spacing | None = None) -> tuple[Volume, ...]:
    """A folder of planes, one picture each, as a volume: sorted by the numbers in their names, or as the metadata of an
    OME-TIFF set have them."""
    files = [f for f in path.iterdir() if f.suffix.lower() in TIFF | PICTURES and not f.name.startswith(".")]
    files.sort(key=lambda f: _natural(f.name))
    if not files:
        raise InputError(f"{path} holds no images ({', '.join(sorted(TIFF | PICTURES))}); check the path")
    if files[0].suffix.lower() in TIFF and len(set_of(files[0])[1]) > 1:
        return _open_set(path, files, axes, spacing)
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


def _open_set(path: Path, files: list[Path], axes: str | None, spacing: Spacing | None) -> tuple[Volume, ...]:
    """A folder that holds one OME-TIFF set, and nothing else."""
    _, names = set_of(files[0])
    others = [f.name for f in files if f.name not in names]
    if others:
        raise InputError(
            f"{path} holds a set of {len(names)} OME-TIFF files ({files[0].name} ...) and others ({others[0]} ...), "
            f"wanted one of them; give one file of the set, {files[0]}, or move the others away"
        )
    return open_tiff(files[0], axes=axes, spacing=spacing)


def open_picture(path: Path, *, axes: str | None = None, spacing: Spacing | None = None) -> tuple[ArrayVolume, ...]:
    """A single PNG, JPEG or BMP. Transparency is dropped: it is no signal."""
    pixels = _pixels(path)
    if pixels.ndim > 3:
        raise InputError(f"{path} holds {len(pixels)} pictures, wanted one a file; save them apart, or as a TIFF")
    if pixels.ndim == 3 and pixels.shape[-1] == 4 and path.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{path} holds inks (CMYK), wanted colours or grey; save it as RGB")
    if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return open_array(pixels, axes=axes or ("yx" if pixels.ndim == 2 else "yxs"), spacing=spacing, shown=str(path))


def _pixels(path: Path) -> Array:
    """What a picture holds, in the numbers that it holds."""
    try:
        held = path.read_bytes()  # of a file that they cannot read, the readers leave it open
        if held[:8] == PNG and held[24] == 16 and held[25] in (2, 4, 6):  # Pillow would make 8 bits of them
            return np.asarray(_imagecodecs(path).png_decode(held))
        return np.asarray(imread(held, plugin="pillow"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except InputError:
        raise
    except Exception as error:  # each format has errors of its own
        raise InputError(f"{path} cannot be read as an image ({str(error)[:200]!r}); it may be damaged") from error


def _imagecodecs(path: Path) -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise InputError(f"{path} has colours of 16 bits, which need one more package; {FORMATS}") from error
    return imagecodecs


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
    """An array as one volume a time point. Without `axes` it is (y, x), (z, y, x) or (channel, z, y, x); where
    few voxels stand last, or few planes after many channels, the axes are asked for."""
    check_dtype(array.dtype.kind, shown=shown)
    found = USUAL.get(array.ndim, "?")
    if axes is None and array.ndim in USUAL:
        check_usual(found, array.shape, shown=shown)
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
