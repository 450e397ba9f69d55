"""The object table: one row a cell, in a folder of Parquet files by ranges of ids; read whole, in parts or one cell.

Arrow is imported where it is used: it takes 30 MB, which a worker that writes no part of a table does without.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.axes import ZYX, Spacing
from bigcell.core.documents import parse_object
from bigcell.core.errors import InputError, OutputError
from bigcell.core.volume import Array
from bigcell.io.atomic import replace_file

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
ROWS_A_PART = 131_072
"""Rows of a file, but for the last one: what a worker holds that writes one (40 MB), and a reader of some columns."""
ROWS_A_GROUP = 8192
"""Rows that are read to find one cell."""
KEY = b"bigcell"


@dataclass(frozen=True)
class ObjectTable:
    """The table that is made in `folder`: its files are named by number and are written each by itself.

    `spacing` and `origin_um` (the place of the centre of voxel (0, 0, 0)) give volumes and positions in µm, which are
    NaN where the voxel size is not known: along their axis, or for volumes along any. Rows go by ascending id, in a
    part and from part to part.

    >>> table = ObjectTable("objects.parquet", Spacing(2, 1, 1))
    >>> table.write_part(0, {"id": [1], "voxels": [8], ...})     # doctest: +SKIP
    PosixPath('objects.parquet/part-00000.parquet')
    """

    folder: str | Path
    spacing: Spacing
    origin_um: tuple[float, ...] = (0.0, 0.0, 0.0)

    def write_part(self, number: int, rows: Mapping[str, Any]) -> Path:
        """Write file `number`: a column for each name in `MEASURED`, all of one length. It appears when it is whole,
        and takes the place of one that is there; the folder is made, the one above it is not."""
        if set(rows) != set(MEASURED):
            raise ValueError(f"columns {sorted(rows)} were given, wanted {sorted(MEASURED)}")
        columns = {name: _exact(name, np.asarray(rows[name]), kind) for name, kind in MEASURED.items()}
        lengths = {column.shape for column in columns.values()}
        if len(lengths) != 1 or len(next(iter(lengths))) != 1:
            raise ValueError(f"columns of shapes {sorted(lengths)} were given, wanted one length for all")
        if (columns["id"][1:] <= columns["id"][:-1]).any():
            raise ValueError("ids were given out of order; wanted them ascending")
        return self._place(f"part-{number:05}.parquet", self._encoded({**columns, **self._derived(columns)}))

    def _derived(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        known = 1.0 if self.spacing.known else np.nan
        derived = {"volume_um3": columns["voxels"] * (self.spacing.voxel_um3 * known)}
        for axis, size, origin in zip(ZYX, self.spacing.zyx, self.origin_um, strict=True):
            derived[f"{axis}_um"] = (columns[axis] * size + origin) * (1.0 if self.spacing.in_um(axis) else np.nan)
        return derived

    def _encoded(self, columns: Mapping[str, Array]) -> Any:
        """The file as bytes, made in memory: what the disk refuses is then told by the disk."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        about = {
            "spacing_um": list(self.spacing.zyx),
            "spacing_known": self.spacing.known,
            "spacing_units": list(self.spacing.units),
            "origin_um": list(self.origin_um),
            "units": {"voxels": "voxel", "volume_um3": "µm³", "bounding box and z, y, x": "voxel", "*_um": "µm"},
            "bounding_box": "half-open: min <= voxel < max",
        }
        fields = [pa.field(name, pa.from_numpy_dtype(kind)) for name, kind in COLUMNS.items()]
        schema = pa.schema(fields, metadata={KEY: json.dumps(about, ensure_ascii=False).encode()})
        sink = pa.BufferOutputStream()
        table = pa.table({name: columns[name] for name in COLUMNS}, schema=schema)
        pq.write_table(table, sink, row_group_size=ROWS_A_GROUP, compression="zstd", use_dictionary=False)
        return sink.getvalue()

    def _place(self, name: str, content: Any) -> Path:
        folder = Path(self.folder)
        try:
            folder.mkdir(exist_ok=True)
            replace_file(folder / name, content, beside=folder)  # the folder holds nothing but parts
        except OSError as error:
            raise OutputError(
                f"{folder} cannot be written ({error}); make room, or give another folder, then continue with "
                "`bigcell resume`"
            ) from error
        return folder / name


def read_objects(path: str | Path) -> dict[str, Array]:
    """Every column of the table at `path`, as arrays of one length."""
    parts = list(read_parts(path))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_parts(path: str | Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Array]]:
    """The table at `path` part after part, by ascending id: `columns` of it (all), as arrays of one length.

    One part at a time is held, however many cells there are.
    """
    if unknown := set(columns or ()) - set(COLUMNS):
        raise InputError(f"the object table has no columns {sorted(unknown)}; it has {', '.join(COLUMNS)}")
    for file in _files(path):
        table = _open(file).read(columns=None if columns is None else list(columns))
        yield {name: _as_array(table, name) for name in table.column_names}


def find_object(path: str | Path, id: int) -> dict[str, Any]:
    """The row of one cell as plain numbers. Read are the ends of a few files, and the rows around `id`.

    Raises InputError where there is no such cell.
    """
    files = _files(path)
    at = bisect_left(files, id, key=_last_id)
    row = _find_in(_open(files[at]), id) if at < len(files) else None
    if row is None:
        raise InputError(f"{path} has no object {id}; give an id that is in the table")
    return row


def table_spacing(path: str | Path) -> tuple[Spacing, tuple[float, float, float]]:
    """The voxel size that the table was written with, and the place of voxel (0, 0, 0) in µm."""
    try:
        about = parse_object(_open(_files(path)[0]).schema_arrow.metadata[KEY], str(path))
        z, y, x = (float(v) for v in about["origin_um"])
        size_z, size_y, size_x = (float(v) for v in about["spacing_um"])
        units = tuple(str(u) for u in about.get("spacing_units", ()))
        return Spacing(size_z, size_y, size_x, bool(about["spacing_known"]), units), (z, y, x)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not say its voxel size ({error!r}); wanted a table that bigcell wrote"
        ) from error


def _files(path: str | Path) -> list[Path]:
    """The files of a table in order. Earlier runs wrote one file, which is read as the only part."""
    place = Path(path)
    if not place.is_dir():
        return [place]
    files = sorted(place.glob("part-*.parquet"))
    if not files:
        raise InputError(f"{path} holds no part of a table (part-00000.parquet, ...); it may be incomplete")
    return files


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

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


def _last_id(path: Path) -> int:
    """The highest id in a file, 0 where it has no rows."""
    file = _open(path)
    return max((_ids_of(file, group)[1] for group in range(file.num_row_groups)), default=0)


def _find_in(file: Any, id: int) -> dict[str, Any] | None:
    """The row of a cell, of the row groups whose ids reach from below it to above."""
    for group in range(file.num_row_groups):
        first, last = _ids_of(file, group)
        if not first <= id <= last:
            continue
        at = np.flatnonzero(_as_array(file.read_row_group(group, columns=["id"]), "id") == id)
        if len(at):
            row: dict[str, Any] = file.read_row_group(group).slice(int(at[0]), 1).to_pylist()[0]
            return row
    return None


def _ids_of(file: Any, group: int) -> tuple[int, int]:
    """The lowest and the highest id of a row group, from the end of the file; what was not noted there is read."""
    known = file.metadata.row_group(group).column(file.schema_arrow.get_field_index("id")).statistics
    if known is not None and known.has_min_max:
        return int(known.min), int(known.max)
    ids = _as_array(file.read_row_group(group, columns=["id"]), "id")
    return (int(ids.min()), int(ids.max())) if len(ids) else (0, 0)


def _exact(name: str, values: Array, kind: Any) -> Array:
    """`values` as `kind`, or a ValueError where that would change one (-1 as an id, 1.5 voxels)."""
    converted = values.astype(kind)
    if not np.array_equal(converted, values):
        raise ValueError(f"column {name!r} of {values.dtype} does not fit {np.dtype(kind)}; give numbers that do")
    return converted


def _as_array(table: Any, name: str) -> Array:
    values: Array = table.column(name).to_numpy()
    return values
