"""TIFF stacks as volumes, read page by page: ImageJ, OME and plain files; damage is an error, never a black plane."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array, ArrayVolume, check_inside
from bigcell.io.formats.colour_samples import sample_names
from bigcell.io.formats.stacks import Stack, Stacked, array_volumes, check_dtype, checked_axes
from bigcell.io.formats.tiff_sets import heard_by, images_of, missing, set_of
from bigcell.io.formats.tiff_sizes import ome_pixels, tiff_spacing

DAMAGE = re.compile(r"page offset|first page|reshape|data offset|ByteCounts|Strip|Tile|missing|corrupt|truncat", re.I)


@dataclass(frozen=True)
class TiffVolume(Stacked):
    """One time point of one series of a TIFF file. Picklable: the file is opened for each `read`."""

    path: Path
    series: int
    stack: Stack
    time: int
    dtype: np.dtype[Any]
    flags: tuple[tuple[str, bool], ...] = ()

    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)``: every page that it touches is decoded once."""
        check_inside(box, self.extent)
        wanted = self._wanted(box)
        out = np.empty([len(wanted[a]) for a in "cszyx"], self.dtype)
        with _opened(self.path, dict(self.flags)) as tif:
            series = tif.series[self.series]
            outer, inner, shape = _page_axes(series, self.stack)
            within: dict[str, slice | list[int]] = {a: slice(wanted[a].start, wanted[a].stop) for a in inner}
            within["s"] = self.stack.kept
            for place in product(*(wanted[a] for a in outer)):
                at = dict(zip(outer, place, strict=True))
                number = int(np.ravel_multi_index(place, [self.stack.length(a) for a in outer])) if place else 0
                values = _page(series, number, self.path).reshape(shape)[tuple(within[a] for a in inner)]
                where = tuple(at[a] - wanted[a].start if a in at else slice(None) for a in "cszyx")
                out[where] = _ordered(values, inner).reshape(out[where].shape)
        return out.reshape(len(self.channels), *box.shape)

    def _wanted(self, box: Box) -> dict[str, range]:
        space = {a: range(box.start[i], box.stop[i]) for i, a in enumerate("zyx")}
        channels = {"c": range(self.stack.length("c")), "s": range(len(self.stack.kept))}
        return {"t": range(self.time, self.time + 1), **channels, **space}


def open_tiff(
    path: str | Path, *, axes: str | None = None, spacing: Spacing | None = None, series: int | None = None
) -> tuple[TiffVolume, ...] | tuple[ArrayVolume, ...]:
    """The TIFF at `path` as one volume a time point, without reading pixels.

    `axes` (such as "zcyx", in the file's order) and `spacing` stand in where the file says nothing, or says it wrong.
    """
    path, _ = set_of(Path(path))
    with _opened(path) as tif:
        flags = _flags(path)
        number = _chosen(tif, series, path)
        chosen = tif.series[number]
        letters = checked_axes(chosen.axes, chosen.shape, axes, shown=str(path))
        dtype = np.dtype(chosen.dtype)
        check_dtype(dtype.kind, shown=str(path))
        size, names = spacing or tiff_spacing(tif, number), _names(tif, number)
        told = "s" in letters and letters.index("s") == chosen.axes.lower().find("s")
        stack = Stack(letters, tuple(chosen.shape), size, names, sample_names(chosen.keyframe) if told else ())
        _check_whole(chosen, path)
        if chosen.dataoffset is not None and dtype.kind != "b" and stack.is_view:
            raw = np.memmap(path, dtype.newbyteorder(tif.byteorder), "r", int(chosen.dataoffset), stack.shape)
            return array_volumes(raw, stack, shown=str(path))
    native = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    return tuple(TiffVolume(path, number, stack, t, native, tuple(flags.items())) for t in range(stack.length("t")))


def _chosen(tif: Any, wanted: int | None, path: Path) -> int:
    """The number of the series to read: the one `wanted`, or the only one that is no preview."""
    count = len(tif.series)
    if not any(s.shape for s in tif.series):
        raise InputError(f"{path} holds no image: it is a TIFF without pages; copy it anew")
    if wanted is not None and not 0 <= wanted < count:
        raise InputError(f"{path} holds {count} images; series={wanted} is not one of 0..{count - 1}")
    images = images_of(tif) or list(range(count))
    if wanted is None and len(images) > 1:
        sizes = "; ".join(f"{i}: {tif.series[i].axes} {tif.series[i].shape}" for i in images)
        raise InputError(f"{path} holds {len(images)} images ({sizes[:500]}); choose one with series= (--series)")
    return images[0] if wanted is None else wanted


@contextmanager
def _opened(path: Path, flags: dict[str, Any] | None = None) -> Iterator[Any]:
    """The open file. tifffile only logs what is wrong with a damaged file and reads on: here that is an error."""
    heard = _Heard()
    try:
        with heard_by(heard), tifffile.TiffFile(path, **(_flags(path) if flags is None else flags)) as tif:
            list(tif.series)
            if heard.damage:
                raise InputError(f"{path} is damaged or cut short ({heard.damage[0]}); copy it anew")
            yield tif
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except Exception as error:  # a hostile file makes the parser and the codecs raise anything
        if "imagecodecs" in str(error):
            raise InputError(
                f"{path} is compressed in a way that needs one more package ({str(error)[:100]}); "
                "pip install 'bigcell[formats]'"
            ) from error
        raise InputError(f"{path} cannot be read as TIFF ({str(error)[:200]!r}); it may be damaged") from error


def _flags(path: Path) -> dict[str, Any]:
    """Pages that were written one call each count as images of their own; where all are alike they are one stack."""
    with tifffile.TiffFile(path) as tif:
        alike = {(s.kind, s.axes, s.shape, s.dtype) for s in tif.series}
        apart = len(tif.series) > 1 and len(alike) == 1 and tif.series[0].kind == "shaped"
    return {"is_shaped": False} if apart else {}


class _Heard(logging.Handler):
    """Keeps what tifffile says of damage."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.damage: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if DAMAGE.search(message):
            self.damage.append(message[:200])


def _check_whole(series: Any, path: Path) -> None:
    """Every page is there, and its bytes lie inside the file: a missing one would be read as zeros."""
    size = path.stat().st_size
    pages = list(series.pages)
    if series.dataoffset is not None:
        if int(series.dataoffset) + int(series.nbytes) > size:
            raise InputError(
                f"{path} is cut short: {series.nbytes} bytes of pixels named, {size} bytes in all; copy it anew"
            )
        return
    if any(page is None for page in pages):
        raise InputError(missing(path, pages))
    for page in pages:
        file = page.parent.filehandle
        ends = [a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if not ends or max(ends) > file.size:
            raise InputError(f"{file.path} is cut short at page {page.index}; copy it anew")


def _page_axes(series: Any, stack: Stack) -> tuple[str, str, tuple[int, ...]]:
    """Letters that number the pages, letters within a page, and a page's shape in those."""
    pages = len(series.pages)
    for outer in range(len(stack.shape) + 1):
        if prod(stack.shape[:outer]) == pages:
            return stack.axes[:outer], stack.axes[outer:], stack.shape[outer:]
    raise ValueError(f"{pages} pages do not make up {stack.shape}")


def _ordered(values: Array, inner: str) -> Array:
    """A page's voxels in the order c s z y x, of which it has some; its one time point is dropped."""
    letters = inner.replace("t", "")
    still = values if letters == inner else values.take(0, axis=inner.index("t"))
    return still.transpose([letters.index(a) for a in "cszyx" if a in letters])


def _page(series: Any, number: int, path: Path) -> Array:
    page = series.pages[number]
    if page is None:
        raise InputError(f"{path} lacks plane {number}; copy the whole set")
    file = page.parent.filehandle  # of a set, only the first file is open
    closed = file.closed
    if closed:
        file.open()
    try:
        values: Array = page.asarray()
    finally:
        if closed:
            file.close()
    return values


def _names(tif: Any, number: int) -> tuple[str, ...]:
    pixels = ome_pixels(tif, number)
    channels = [] if pixels is None else pixels.findall("{*}Channel")
    return tuple(c.get("Name") or str(i) for i, c in enumerate(channels))
