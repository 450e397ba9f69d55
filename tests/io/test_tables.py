"""Object tables: parts whole or absent, the same rows back in every reader, one cell without the rest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError, OutputError
from bigcell.io import tables
from bigcell.io.tables import COLUMNS, MEASURED, ObjectTable, find_object, read_objects, read_parts, table_spacing


def rows(ids):
    ids = np.asarray(ids, np.uint64)
    numbers = ids.astype(np.int64)
    columns = {name: numbers + i for i, name in enumerate(MEASURED) if name.endswith(("_min", "_max"))}
    return {
        "id": ids, "voxels": ids * np.uint64(2), "z": ids / 2, "y": ids / 4, "x": ids / 8,
        "touches_border": ids % 2 == 0, **columns,
    }  # fmt: skip


@pytest.fixture
def hundred(tmp_path, monkeypatch):
    """A table of 100 cells: 4 parts of 25 rows, 3 groups each."""
    monkeypatch.setattr(tables, "ROWS_A_GROUP", 10)
    table = ObjectTable(tmp_path / "o.parquet", Spacing())
    for part in (2, 0, 3, 1):
        table.write_part(part, rows(range(25 * part + 1, 25 * part + 26)))
    return tmp_path / "o.parquet"


def test_rows_come_back_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS_A_GROUP", 2)
    table = ObjectTable(tmp_path / "o.parquet", Spacing(2, 0.5, 0.25), (10, 0, -1))
    table.write_part(1, rows([7, 9, 2**64 - 1]))
    assert table.write_part(0, rows([1, 3, 4])) == tmp_path / "o.parquet" / "part-00000.parquet"
    found = read_objects(tmp_path / "o.parquet")
    ids = np.array([1, 3, 4, 7, 9, 2**64 - 1], np.uint64)
    assert list(found) == list(COLUMNS)
    assert {n: c.dtype for n, c in found.items()} == {n: np.dtype(k) for n, k in COLUMNS.items()}
    for name, values in rows(ids).items():
        assert np.array_equal(found[name], values)
    assert np.allclose(found["volume_um3"], found["voxels"] * 0.25)
    assert np.allclose(found["z_um"], found["z"] * 2 + 10)
    assert np.allclose(found["x_um"], found["x"] * 0.25 - 1)
    file = pq.ParquetFile(tmp_path / "o.parquet" / "part-00001.parquet")
    assert file.num_row_groups == 2
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert table_spacing(tmp_path / "o.parquet") == (Spacing(2, 0.5, 0.25), (10, 0, -1))


def test_pandas_polars_and_duckdb_read_the_folder(hundred):
    duckdb, pandas, polars = (pytest.importorskip(name) for name in ("duckdb", "pandas", "polars"))
    wanted = read_objects(hundred)
    assert wanted["id"].tolist() == list(range(1, 101))
    by_pandas = pandas.read_parquet(hundred)
    by_polars = [polars.scan_parquet(place).collect() for place in (hundred, f"{hundred}/*.parquet")]
    by_duckdb = duckdb.sql(f"SELECT * FROM read_parquet('{hundred}/*.parquet')").fetchnumpy()
    for found in (by_pandas, *by_polars, by_duckdb):
        assert list(found.keys() if isinstance(found, dict) else found.columns) == list(COLUMNS)
        for name, kind in COLUMNS.items():
            values = np.asarray(found[name])
            assert values.dtype == np.dtype(kind)
            assert np.array_equal(values, wanted[name])
    few = polars.scan_parquet(hundred).filter(polars.col("voxels") > 190).select("id").collect()
    assert few["id"].to_list() == [96, 97, 98, 99, 100]


def test_parts_are_read_one_at_a_time(hundred):
    parts = read_parts(hundred, ["id", "z"])
    assert [(list(p), p["id"][0], len(p["z"])) for p in parts] == [(["id", "z"], 25 * i + 1, 25) for i in range(4)]
    with pytest.raises(InputError, match=r"has no columns \['size'\]; it has id, voxels"):
        next(read_parts(hundred, ["size"]))


def test_one_cell_is_found_without_the_others(hundred, monkeypatch):
    read = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda s, i, **k: read.append(i) or plain(s, i, **k))
    found = find_object(hundred, 63)
    assert set(read) == {1}
    assert (found["id"], found["voxels"], found["z"], found["touches_border"]) == (63, 126, 31.5, False)
    assert type(found["id"]) is int
    for id in (1, 25, 26, 100):
        assert find_object(hundred, id)["id"] == id
    for id in (0, 101):
        with pytest.raises(InputError, match=f"has no object {id}"):
            find_object(hundred, id)


def test_one_file_of_an_earlier_run_is_a_table(hundred, tmp_path):
    whole = pa.concat_tables([pq.read_table(p) for p in sorted(hundred.iterdir(), reverse=True)])
    for statistics in (True, False):
        pq.write_table(whole, tmp_path / "one", row_group_size=7, write_statistics=statistics)
        assert find_object(tmp_path / "one", 63) == find_object(hundred, 63)
        with pytest.raises(InputError, match="has no object 101"):
            find_object(tmp_path / "one", 101)
    assert sorted(read_objects(tmp_path / "one")["id"]) == list(range(1, 101))
    assert table_spacing(tmp_path / "one") == table_spacing(hundred)


def test_unknown_voxel_size_gives_no_micrometres(tmp_path):
    ObjectTable(tmp_path / "o.parquet", Spacing(known=False)).write_part(0, rows([1]))
    found = read_objects(tmp_path / "o.parquet")
    assert np.isnan(found["volume_um3"]).all()
    assert np.isnan(found["y_um"]).all()
    assert found["voxels"].tolist() == [2]


@pytest.mark.parametrize("axis", "zyx")
def test_a_size_that_is_unknown_along_one_axis_leaves_micrometres_along_the_others(tmp_path, axis):
    space = Spacing.measured((2.0, 0.5, 0.5), ["" if a == axis else "um" for a in "zyx"])
    ObjectTable(tmp_path / "o.parquet", space).write_part(0, rows([1]))
    found = read_objects(tmp_path / "o.parquet")
    assert [a for a in "zyx" if np.isnan(found[f"{a}_um"]).all()] == [axis]
    assert np.isnan(found["volume_um3"]).all()
    assert table_spacing(tmp_path / "o.parquet")[0] == space


def test_no_cells_make_an_empty_table(tmp_path):
    ObjectTable(tmp_path / "o.parquet", Spacing()).write_part(0, rows([]))
    assert {len(c) for c in read_objects(tmp_path / "o.parquet").values()} == {0}
    with pytest.raises(InputError, match="has no object 1"):
        find_object(tmp_path / "o.parquet", 1)


def test_half_a_part_has_no_name(tmp_path, monkeypatch):
    table = ObjectTable(tmp_path / "o.parquet", Spacing())
    part = table.write_part(0, rows([1]))
    held = part.read_bytes()
    with monkeypatch.context() as full:
        full.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OutputError, match=r"cannot be written .*No space left on device"):
            table.write_part(0, rows([2]))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [part]
    assert part.read_bytes() == held
    table.write_part(0, rows([2]))  # once more is harmless
    assert read_objects(tmp_path / "o.parquet")["id"].tolist() == [2]
    assert table.write_part(0, rows([1])).read_bytes() == held


def test_bad_rows_and_files(tmp_path):
    table = ObjectTable(tmp_path / "o.parquet", Spacing())
    with pytest.raises(OutputError, match="cannot be written"):
        ObjectTable(tmp_path / "nowhere" / "o.parquet", Spacing()).write_part(0, rows([1]))
    with pytest.raises(ValueError, match=r"columns .* were given"):
        table.write_part(0, {"id": [1]})
    with pytest.raises(ValueError, match="wanted one length"):
        table.write_part(0, {**rows([1, 2]), "z": np.zeros(3)})
    with pytest.raises(ValueError, match="wanted them ascending"):
        table.write_part(0, rows([2, 1]))
    for voxels in ([1.5], [-1]):
        with pytest.raises(ValueError, match="does not fit uint64"):
            table.write_part(0, {**rows([1]), "voxels": np.array(voxels)})
    table.write_part(0, {**rows([1]), "id": [1], "voxels": np.array([5], np.int32)})
    (tmp_path / "text").write_text("no table")
    (tmp_path / "bare").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "other")
    for name, message in [
        ("none", "does not exist"),
        ("text", "not a Parquet table"),
        ("other", "no column 'voxels'"),
        ("bare", "holds no part"),
    ]:
        for read in (read_objects, table_spacing, lambda path: find_object(path, 1)):
            with pytest.raises(InputError, match=message):
                read(tmp_path / name)
    plain = pq.read_table(tmp_path / "o.parquet" / "part-00000.parquet").replace_schema_metadata({})
    pq.write_table(plain, tmp_path / "plain")
    with pytest.raises(InputError, match="does not say its voxel size"):
        table_spacing(tmp_path / "plain")
