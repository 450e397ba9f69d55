"""Rows of objects as the columns of the object table."""

from __future__ import annotations

import numpy as np

from bigcell.core.axes import ZYX
from bigcell.core.volume import Array
from bigcell.stitch.clean import at_faces
from bigcell.stitch.pieces import Pieces


def table_columns(first: int, rows: Pieces, extent: tuple[int, ...]) -> dict[str, Array]:
    """Columns of `rows`, whose ids run from `first`: counts, half-open boxes and centroids in voxels, border flag.

    An object touches the border if it reaches the first or last voxel of an axis that has more than one.
    """
    columns: dict[str, Array] = {
        "id": np.arange(first, first + len(rows), dtype=np.uint64),
        "voxels": rows.voxels.astype(np.uint64),
    }
    for i, axis in enumerate(ZYX):
        columns[f"{axis}_min"], columns[f"{axis}_max"] = rows.low[:, i], rows.high[:, i]
        columns[axis] = rows.total[:, i] / np.maximum(rows.voxels, 1)
    long = np.array(extent) > 1
    return {**columns, "touches_border": np.asarray(at_faces(rows.low, rows.high, extent)[:, long].any(axis=1))}
