"""Object tables: whole or absent, the same rows back, one cell without the rest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError, OutputError
from bigcell.io import tables
from bigcell.io.tables import COLUMNS, MEASURED, ObjectTableWriter, find_object, read_objects, table_spacing


def rows(ids):
    ids = np.asarray(ids, np.uint64)
    numbers = ids.astype(np.int64)
    columns = {name: numbers + i for i, name in enumerate(MEASURED) if name.endswith(("_min", "_max"))}
    return {
        "id": ids, "voxels": ids * np.uint64(2), "z": ids / 2, "y": ids / 4, "x": ids / 8,
        "touches_border": ids % 2 == 0, **columns,
    }  # fmt: skip


def test_rows_come_back_in_the_order_given(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_A_GROUP", 4)
    with ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing(2, 0.5, 0.25), origin_um=(10, 0, -1)) as table:
        for part in ([3, 1], [7], [2, 9, 4], [], [2**64 - 1]):
            table.write(rows(part))
    assert table.rows == 7
    found = read_objects(tmp_path / "o.parquet")
    ids = np.array([3, 1, 7, 2, 9, 4, 2**64 - 1], np.uint64)
    assert list(found) == list(COLUMNS)
    assert {n: c.dtype for n, c in found.items()} == {n: np.dtype(k) for n, k in COLUMNS.items()}
    for name, values in rows(ids).items():
        assert np.array_equal(found[name], values)
    assert np.allclose(found["volume_um3"], found["voxels"] * 0.25)
    assert np.allclose(found["z_um"], found["z"] * 2 + 10)
    assert np.allclose(found["x_um"], found["x"] * 0.25 - 1)
    file = pq.ParquetFile(tmp_path / "o.parquet")
    assert file.num_row_groups == 2
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert table_spacing(tmp_path / "o.parquet") == (Spacing(2, 0.5, 0.25), (10, 0, -1))


def test_one_cell_is_found_without_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_A_GROUP", 10)
    with ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing()) as table:
        for start in range(1, 101, 10):
            table.write(rows(range(start, start + 10)))
    read = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda s, i, **k: read.append(i) or plain(s, i, **k))
    found = find_object(tmp_path / "o.parquet", 57)
    assert set(read) == {5}
    assert (found["id"], found["voxels"], found["z"], found["touches_border"]) == (57, 114, 28.5, False)
    assert type(found["id"]) is int
    with pytest.raises(InputError, match="has no object 101"):
        find_object(tmp_path / "o.parquet", 101)


def test_unknown_voxel_size_gives_no_micrometres(tmp_path):
    with ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing(known=False)) as table:
        table.write(rows([1]))
    found = read_objects(tmp_path / "o.parquet")
    assert np.isnan(found["volume_um3"]).all()
    assert np.isnan(found["y_um"]).all()
    assert found["voxels"].tolist() == [2]


def test_no_cells_make_an_empty_table(tmp_path):
    with ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing()):
        pass
    assert {len(c) for c in read_objects(tmp_path / "o.parquet").values()} == {0}


def test_half_a_table_has_no_name(tmp_path):
    (tmp_path / "o.parquet").write_text("old")
    table = ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing())
    table.write(rows([1]))
    assert (tmp_path / "o.parquet").read_text() == "old"
    table.discard()
    with pytest.raises(RuntimeError), ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing()):
        raise RuntimeError
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("o.parquet", "old")]
    table = ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing())
    assert table.close() == table.close()
    assert [p.name for p in tmp_path.iterdir()] == ["o.parquet"]


def test_bad_rows_and_files(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        ObjectTableWriter(tmp_path / "nowhere" / "o.parquet", spacing=Spacing())
    with ObjectTableWriter(tmp_path / "o.parquet", spacing=Spacing()) as table:
        with pytest.raises(ValueError, match=r"columns .* were given"):
            table.write({"id": [1]})
        with pytest.raises(ValueError, match="wanted one length"):
            table.write({**rows([1, 2]), "z": np.zeros(3)})
        for voxels in ([1.5], [-1]):
            with pytest.raises(ValueError, match="does not fit uint64"):
                table.write({**rows([1]), "voxels": np.array(voxels)})
        table.write({**rows([1]), "id": [1], "voxels": np.array([5], np.int32)})
    (tmp_path / "text").write_text("no table")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "other")
    for name, message in [("none", "does not exist"), ("text", "not a Parquet table"), ("other", "no column 'voxels'")]:
        with pytest.raises(InputError, match=message):
            read_objects(tmp_path / name)
    pq.write_table(pq.read_table(tmp_path / "o.parquet").replace_schema_metadata({}), tmp_path / "plain")
    with pytest.raises(InputError, match="does not say its voxel size"):
        table_spacing(tmp_path / "plain")
