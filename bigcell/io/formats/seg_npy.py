"""``_seg.npy``: what Cellpose's window keeps beside an image, read without running what may be in it."""

from __future__ import annotations

from pathlib import Path

from bigcell.core.errors import InputError
from bigcell.core.safe_pickle import as_array, read_plain_npy
from bigcell.core.volume import Array

SEG_BYTES = 2**32
"""No ``_seg.npy`` is larger: the whole of it is read at once."""


def read_seg(path: str | Path) -> Array:
    """The masks in a ``_seg.npy``: integers ``(y, x)`` or ``(z, y, x)``, 0 for background, read-only.

    The file is a pickled dict, which Cellpose 1 to 4 write alike; outlines, flows and colours in it are left alone.
    Raises InputError, naming the file, where it is no such file, would run code, or has no masks.
    """
    path = Path(path)
    found = read_plain_npy(path, limit=SEG_BYTES)
    if not isinstance(found, dict) or "masks" not in found:
        kind = "a dict without 'masks'" if isinstance(found, dict) else f"a {type(found).__name__}"
        raise InputError(f"{path} holds {kind}; wanted what Cellpose saves beside an image, a dict with 'masks'")
    try:
        masks = as_array(found["masks"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if masks.ndim not in (2, 3) or masks.dtype.kind not in "iub":
        raise InputError(f"{path} has masks {masks.dtype} of shape {masks.shape}; wanted integers (y, x) or (z, y, x)")
    return masks
