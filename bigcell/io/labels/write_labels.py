"""Labels that are in memory, beside the image they are of: `write_labels`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.label_store import LabelForm, create_labels
from bigcell.io.labels.publish import publish
from bigcell.io.ngff.image import open_image
from bigcell.io.ngff.pyramid import reduce_labels


def write_labels(image: str | Path, labels: Array, *, name: str = "cells", overwrite: bool = False) -> Path | str:
    """Put `labels`, integers (z, y, x) or (y, x), at ``<image>/labels/<name>`` with a pyramid. Returns the place.

    `image` is an OME-Zarr image of the same voxels. For labels that fit in memory: larger ones come from a run. Raises
    InputError where shapes differ or ids are no integers from 0 on, OutputError where `name` is taken.
    """
    volume = open_image(image)
    array = np.asarray(labels).reshape((1,) * (3 - np.ndim(labels)) + np.shape(labels))
    if array.shape != volume.extent:
        raise InputError(f"labels of shape {np.shape(labels)} for {image}, which is {volume.extent}; wanted the same")
    if array.dtype.kind not in "iu" or int(array.min()) < 0:
        raise InputError(f"labels for {image} are {array.dtype} from {array.min()} on; wanted integers, 0 outside")
    dtype = np.dtype(np.uint32 if int(array.max()) < 2**32 else np.uint64)
    target = check_target(image, name, image=volume, overwrite=overwrite)
    store = create_labels(target, LabelForm(volume.extent, volume.spacing, volume, dtype))
    values = array.astype(dtype)
    for number, level in enumerate(store.levels):
        values = reduce_labels(values, level.factor) if number else values
        store.write(number, Box.of(level.extent), values)
    return publish(store, attributes={}, files={})
