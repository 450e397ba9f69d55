"""The samples of a colour pixel in a TIFF: what each is called, and which are no signal."""

from __future__ import annotations

from typing import Any

RGB = ("red", "green", "blue")
COLOURS = {"RGB": RGB, "YCBCR": RGB, "SEPARATED": ("cyan", "magenta", "yellow", "black")}
"""By photometric interpretation; YCbCr is decoded to RGB."""


def sample_names(page: Any) -> tuple[str | None, ...]:
    """A name for each sample of a pixel of `page`, a tifffile page; None for alpha, which says how to show a pixel.

    A sample of no kind that the file tells is a channel: it may be alpha, and may be a stain.
    """
    extra = [int(kind) for kind in page.extrasamples]
    colours = page.samplesperpixel - len(extra)
    names = COLOURS.get(getattr(page.photometric, "name", ""), ())
    plain = [names[i] if len(names) == colours else str(i) for i in range(colours)]
    return (*plain, *(_extra(kind, colours + i, named=bool(names)) for i, kind in enumerate(extra)))


def _extra(kind: int, number: int, *, named: bool) -> str | None:
    """The name of an extra sample: kind 1 and 2 are alpha."""
    return None if kind in (1, 2) else f"extra {number}" if named else str(number)
