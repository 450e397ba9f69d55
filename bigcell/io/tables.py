"""The object table: one row a cell in one Parquet file, written in pieces, read whole or one cell at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bigcell.core.axes import ZYX, Spacing
from bigcell.core.errors import InputError, OutputError
from bigcell.core.volume import Array

BOX = tuple(f"{a}_{end}" for a in ZYX for end in ("min", "max"))
MEASURED: dict[str, Any] = {
    "id": np.uint64,
    "voxels": np.uint64,
    **dict.fromkeys(BOX, np.int64),
    **dict.fromkeys(ZYX, np.float64),
    "touches_border": np.bool_,
}
"""What is measured of each cell: its bounding box is half-open, its centroid the mean voxel index."""
DERIVED: dict[str, Any] = {"volume_um3": np.float64, **{f"{a}_um": np.float64 for a in ZYX}}
COLUMNS: dict[str, Any] = {
    name: {**MEASURED, **DERIVED}[name]
    for name in ("id", "voxels", "volume_um3", *BOX, *ZYX, "z_um", "y_um", "x_um", "touches_border")
}
ROWS_A_GROUP = 8192
KEY = b"bigcell"


class ObjectTableWriter:
    """Writes the table at `path` piece by piece; it appears under that name only when it is whole.

    `spacing` and `origin_um` (the place of the centre of voxel (0, 0, 0)) give volumes and positions in µm, which are
    NaN where the voxel size is not known. Memory holds one row group, however many cells there are.

    >>> with ObjectTableWriter(path, spacing=Spacing(2, 1, 1)) as table:     # doctest: +SKIP
    ...     table.write({"id": [1], "voxels": [8], ...})
    """

    def __init__(self, path: str | Path, *, spacing: Spacing, origin_um: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        self.path = Path(path)
        self.spacing = spacing
        self.origin_um = tuple(float(o) for o in origin_um)
        self.rows = 0
        self._building = self.path.with_name(f".{self.path.name}.building")
        self._waiting: list[dict[str, Array]] = []
        try:
            self._file: Any = pq.ParquetWriter(self._building, self._schema(), compression="zstd")
        except OSError as error:
            raise OutputError(f"{self._building} cannot be written ({error}); give another folder") from error

    def write(self, rows: Mapping[str, Any]) -> None:
        """Add cells: a column for each name in `MEASURED`, all of one length, in any order of ids."""
        if set(rows) != set(MEASURED):
            raise ValueError(f"columns {sorted(rows)} were given, wanted {sorted(MEASURED)}")
        piece = {name: _exact(name, np.asarray(rows[name]), kind) for name, kind in MEASURED.items()}
        lengths = {column.shape for column in piece.values()}
        if len(lengths) != 1 or len(next(iter(lengths))) != 1:
            raise ValueError(f"columns of shapes {sorted(lengths)} were given, wanted one length for all")
        self._waiting.append({**piece, **self._derived(piece)})
        if sum(len(p["id"]) for p in self._waiting) >= ROWS_A_GROUP:
            self._flush()

    def close(self) -> Path:
        """Finish the file and give it its name."""
        if self._file is not None:
            self._flush()
            self._file.close()
            self._file = None
            os.replace(self._building, self.path)
        return self.path

    def discard(self) -> None:
        """Stop without a table; one that was there before stays."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._building.unlink(missing_ok=True)

    def __enter__(self) -> ObjectTableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _derived(self, piece: Mapping[str, Array]) -> dict[str, Array]:
        known = 1.0 if self.spacing.known else np.nan
        derived = {"volume_um3": piece["voxels"] * (self.spacing.voxel_um3 * known)}
        for axis, size, origin in zip(ZYX, self.spacing.zyx, self.origin_um, strict=True):
            derived[f"{axis}_um"] = (piece[axis] * size + origin) * known
        return derived

    def _flush(self) -> None:
        if not self._waiting:
            return
        joined = {name: np.concatenate([piece[name] for piece in self._waiting]) for name in COLUMNS}
        self._waiting.clear()
        self.rows += len(joined["id"])
        self._file.write_table(pa.table(joined, schema=self._schema()))

    def _schema(self) -> Any:
        about = {
            "spacing_um": list(self.spacing.zyx),
            "spacing_known": self.spacing.known,
            "origin_um": list(self.origin_um),
            "units": {"voxels": "voxel", "volume_um3": "µm³", "bounding box and z, y, x": "voxel", "*_um": "µm"},
            "bounding_box": "half-open: min <= voxel < max",
        }
        fields = [pa.field(name, pa.from_numpy_dtype(kind)) for name, kind in COLUMNS.items()]
        return pa.schema(fields, metadata={KEY: json.dumps(about, ensure_ascii=False).encode()})


def read_objects(path: str | Path) -> dict[str, Array]:
    """Every column of the table at `path`, as arrays of one length."""
    table = _open(path).read()
    return {name: _as_array(table, name) for name in table.column_names}


def find_object(path: str | Path, id: int) -> dict[str, Any]:
    """The row of one cell as plain numbers. Only the row groups whose ids reach from below `id` to above are read."""
    file = _open(path)
    place = file.schema_arrow.get_field_index("id")
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(place).statistics
        if known is not None and known.has_min_max and not known.min <= id <= known.max:
            continue
        at = np.flatnonzero(_as_array(file.read_row_group(group, columns=["id"]), "id") == id)
        if len(at):
            row: dict[str, Any] = file.read_row_group(group).slice(int(at[0]), 1).to_pylist()[0]
            return row
    raise InputError(f"{path} has no object {id}; give an id that is in the table")


def table_spacing(path: str | Path) -> tuple[Spacing, tuple[float, float, float]]:
    """The voxel size that the table was written with, and the place of voxel (0, 0, 0) in µm."""
    try:
        about = json.loads(_open(path).schema_arrow.metadata[KEY])
        z, y, x = (float(v) for v in about["origin_um"])
        size_z, size_y, size_x = (float(v) for v in about["spacing_um"])
        return Spacing(size_z, size_y, size_x, known=bool(about["spacing_known"])), (z, y, x)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not say its voxel size ({error!r}); wanted a table that bigcell wrote"
        ) from error


def _open(path: str | Path) -> Any:
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path, or segment with a table") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is not a Parquet table ({str(error)[:200]}); it may be incomplete") from error
    missing = [name for name in COLUMNS if name not in file.schema_arrow.names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}; wanted a table of objects that bigcell wrote")
    return file


def _exact(name: str, values: Array, kind: Any) -> Array:
    """`values` as `kind`, or a ValueError where that would change one (-1 as an id, 1.5 voxels)."""
    converted = values.astype(kind)
    if not np.array_equal(converted, values):
        raise ValueError(f"column {name!r} of {values.dtype} does not fit {np.dtype(kind)}; give numbers that do")
    return converted


def _as_array(table: Any, name: str) -> Array:
    values: Array = table.column(name).to_numpy()
    return values
