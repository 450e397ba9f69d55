"""Stores as bigcell writes them, one of each form, and what a reader should see in them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.label_store import LabelForm, create_labels
from bigcell.io.labels.publish import publish
from bigcell.io.ngff.image import open_image
from bigcell.io.ngff.pyramid import reduce_image, reduce_labels
from bigcell.io.ngff.write_image import write_image

SPACING, EXTENT, STEP = Spacing(2.0, 0.5, 0.25), (12, 40, 56), (1, 2, 2)
CHANNELS = ("membrane", "nuclei")
CHUNK, SHARD = (4, 16, 16), (8, 32, 32)
FORMS: dict[str, dict[str, Any]] = {
    "0.4": {"version": "0.4"},
    "0.5": {"version": "0.5", "shard": CHUNK},
    "0.5 sharded": {"version": "0.5", "shard": SHARD},
    "0.6 sharded": {"version": "0.6", "shard": SHARD},
    ".ozx": {"version": "0.5", "shard": SHARD},
}
KINDS = ("zyx", "czyx", "labels")
FACTS = ("axes", "scale", "units", "channels", "dtype", "voxels")
"""What is compared: axes by letter, voxel size and unit by level and axis, names, dtype, a digest of each level."""


@dataclass(frozen=True)
class Store:
    """The place that a reader is given, and the facts that it should tell."""

    place: Path
    facts: dict[str, Any]


def image_of(channels: int) -> np.ndarray:
    """Noise, so that no voxel looks like its neighbour."""
    return np.random.default_rng(channels).integers(1, 60000, (channels, *EXTENT)).astype(np.uint16)


def cells() -> np.ndarray:
    """Boxes of 4 x 8 x 8 voxels, each a cell; every other one is empty."""
    z, y, x = np.indices(EXTENT) // np.array([4, 8, 8]).reshape(3, 1, 1, 1)
    boxes = (z * 5 + y) * 7 + x
    return np.where(boxes % 2, boxes, 0).astype(np.uint32)


def write_stores(folder: Path) -> dict[tuple[str, str], Store]:
    """In each form an image (z, y, x) with labels, and one of two channels."""
    made: dict[tuple[str, str], Store] = {}
    for form, options in FORMS.items():
        home = folder / form.strip(".").replace(" ", "-")
        home.mkdir()
        one = _write(home / "zyx.zarr", image_of(1), CHANNELS[:1], options)
        _label(one, options.get("shard", CHUNK))
        two = _write(home / "czyx.zarr", image_of(2), CHANNELS, options)
        one, two = (_zipped(place) if form == ".ozx" else place for place in (one, two))
        made[form, "zyx"] = Store(one, facts("zyx", image_of(1)[0], partial(reduce_image, factor=STEP)))
        made[form, "czyx"] = Store(two, facts("czyx", image_of(2), _reduce_channels, channels=list(CHANNELS)))
        made[form, "labels"] = Store(
            one / "labels" / "cells", facts("zyx", cells(), partial(reduce_labels, factor=STEP))
        )
    return made


def facts(axes: str, voxels: np.ndarray, reduce: Any, channels: list[str] | None = None) -> dict[str, Any]:
    """What is true of an image of two levels."""
    sizes = [dict(zip("zyx", np.multiply(SPACING.zyx, by).tolist(), strict=True)) for by in ((1, 1, 1), STEP)]
    return {
        "axes": axes,
        "scale": sizes,
        "units": dict.fromkeys("zyx", "micrometer"),
        "channels": channels,
        "dtype": str(voxels.dtype),
        "voxels": [digest(voxels), digest(reduce(voxels))],
    }


def digest(voxels: np.ndarray) -> str:
    """As `seen/telling.py` has it."""
    return sha256(np.ascontiguousarray(voxels).tobytes()).hexdigest()


def _write(place: Path, image: np.ndarray, channels: tuple[str, ...], options: dict[str, Any]) -> Path:
    source = image if len(channels) > 1 else image[0]
    return write_image(place, source, spacing=SPACING, channels=channels, chunk=CHUNK, levels=2, **options)


def _label(image: Path, shard: Any) -> None:
    """Labels as a run leaves them, with its files beside the levels."""
    volume = open_image(image)
    target = check_target(image, "cells", image=volume, overwrite=False)
    form = LabelForm(volume.extent, volume.spacing, volume, np.dtype(np.uint32), CHUNK, shard)
    store = create_labels(target, form)
    for number, values in enumerate((cells(), reduce_labels(cells(), STEP))):
        store.write(number, Box.of(values.shape), values)
    files = {name: image.with_name(name) for name in ("report.html", "record.json", "objects.parquet")}
    for name, file in files.items():
        file.mkdir() if name == "objects.parquet" else file.write_text("{}")
    (files["objects.parquet"] / "part.0.parquet").write_bytes(b"PAR1")
    publish(store, attributes={"bigcell": {"version": "0.1.0"}}, files=files)


def _zipped(place: Path) -> Path:
    packed = bigcell.convert(place, place.with_suffix(".ozx"))
    shutil.rmtree(place)
    return Path(packed)


def _reduce_channels(image: np.ndarray) -> np.ndarray:
    return np.stack([reduce_image(channel, STEP) for channel in image])
