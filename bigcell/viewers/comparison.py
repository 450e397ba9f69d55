"""Links that open two labellings of the same voxels in neuroglancer, at a cell that went wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Volume
from bigcell.io.ngff.image import ZarrVolume, read_info
from bigcell.io.ngff.metadata import ImageInfo
from bigcell.io.stores.urls import is_url, without_credentials
from bigcell.metrics.mistakes import Mistake
from bigcell.viewers.neuroglancer import View, show
from bigcell.viewers.shown import Found, Shown, contrast, find_shown
from bigcell.viewers.state import label_layer, view_state

SAFE = "~@#$&()*!+=:;,.?/'"
"""What neuroglancer's own links leave as it is."""
TRUTH, FOUND = "truth", "found"


@dataclass(frozen=True)
class Links:
    """Addresses of a neuroglancer at `page` that shows image, truth and found; `addresses`: source -> where a browser
    reads it. `time`: the time point that was compared."""

    shown: Shown
    addresses: Mapping[str, str]
    page: str
    time: int = 0
    windows: tuple[tuple[float, float], ...] = field(default=(), repr=False)

    def __call__(self, mistake: Mistake) -> str:
        """The address that shows a mistake: both labellings, the cell and its partner selected."""
        return f"{self.page.rstrip('/')}/#!{quote(json.dumps(self.state(mistake), separators=(',', ':')), safe=SAFE)}"

    def state(self, mistake: Mistake) -> dict[str, Any]:
        """The state of neuroglancer that shows a mistake."""
        ids = {TRUTH: mistake.truth, FOUND: mistake.found}
        told, other = (FOUND, TRUTH) if mistake.kind in ("merged", "extra") else (TRUTH, FOUND)
        shown = Shown(self.shown.image, {told: self.shown.labels[told]})
        alone = (
            {} if self.shown.image is not None else {"notSelectedAlpha": 0}
        )  # others say where, but on black too much
        at = around(mistake, self.shown.labels[told].extent())
        state = view_state(shown, self.addresses, windows=self.windows, found=(told, ids[told], at))
        info = self.shown.labels[other]
        state["layers"].append({**label_layer(info, self.addresses[info.source], id=ids[other] or None), "name": other})
        for layer in state["layers"]:
            if "segments" in layer:
                layer |= alone
        if "t" in state["dimensions"]:
            state["position"][-1] = self.time
        return state


def around(mistake: Mistake, extent: tuple[int, ...]) -> Found:
    """Where to look for a mistake: its centre, and a box of about the size of its cell."""
    axes = sum(n > 1 for n in extent)
    half = ceil(mistake.voxels ** (1 / max(1, axes)) / 2)
    z, y, x = (min(max(int(v + 0.5), 0), n - 1) for v, n in zip(mistake.centre, extent, strict=True))
    return Found((z, y, x), Box((z, y, x), (z + 1, y + 1, x + 1)).grow(half) & Box.of(extent))


def gather(found: Volume, truth: Volume, image: str | Path | None = None) -> Shown:
    """What links show: two label volumes over an image, without `image` the one that the labels say they are of.

    InputError for labels that are not OME-Zarr, which a browser cannot read.
    """
    labels = {TRUTH: _info(truth), FOUND: _info(found)}
    return Shown(read_info(image) if image else image_of(labels[FOUND].source), labels)


def _info(labels: Volume) -> ImageInfo:
    if not isinstance(labels, ZarrVolume):
        raise InputError("links open OME-Zarr; turn labels of other kinds into it with `bigcell convert`")
    return labels.info


def image_of(labels: str) -> ImageInfo | None:
    """The image that the local labels say they were made from, if it is there."""
    image = None if is_url(labels) else find_shown(labels).image
    return image if image is not None and image.source != labels else None


@contextmanager
def open_links(where: str, shown: Shown, *, time: int = 0) -> Iterator[tuple[Links, View | None]]:
    """Links of a neuroglancer at `where`, an http address; or, for "serve", of one here, which serves local stores
    while the context lives, and its view."""
    if where != "serve":
        yield remote_links(shown, where, time=time), None
        return
    with show(shown) as view:
        yield Links(shown, view.addresses, view.page_for_links(), time, windows_of(shown)), view


def remote_links(shown: Shown, page: str, *, time: int = 0) -> Links:
    """Links for stores that a browser can reach by their own addresses. InputError for local ones."""
    if not page.startswith(("http://", "https://")):
        raise SettingsError(f"link {page!r}: wanted serve, or the http address of a neuroglancer")
    sources = [info.source for info in (*([shown.image] if shown.image else []), *shown.labels.values())]
    for source in sources:
        if not is_url(source):
            raise InputError(f"{source} is a local folder, which a link cannot open: use --link serve")
        if without_credentials(source) != source:
            raise InputError(f"{without_credentials(source)} was given with a password, which a link would tell")
    return Links(shown, {s: s for s in sources}, page, time, windows_of(shown))


def windows_of(shown: Shown) -> tuple[tuple[float, float], ...]:
    """Contrast of the image's channels; none without an image."""
    return contrast(shown.image) if shown.image is not None else ()
