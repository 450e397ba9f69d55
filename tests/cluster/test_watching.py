"""Dask's performance report: made when a run ends, refused before any work where it could not be."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bigcell.cluster import watching
from bigcell.cluster.choose import check_watched, choose_executor
from bigcell.core.errors import OutputError, SettingsError


def double(value: int) -> int:
    return 2 * value


def test_the_report_is_written_when_the_executor_is_closed(tmp_path: Path) -> None:
    pytest.importorskip("bokeh", reason="bokeh is not installed: pip install 'bigcell[report]'")
    path = check_watched("local", tmp_path / "dask.html")
    with closing(choose_executor("local", 1, watched=path)) as executor:
        assert sorted(executor.map(double, range(3))) == [0, 2, 4]
        assert not (tmp_path / "dask.html").exists()
    page = (tmp_path / "dask.html").read_text()
    assert "Task Stream" in page
    assert "cdn.bokeh.org" not in page.partition("<body")[0], "it opens without a network"
    executor.close()  # again is harmless


def test_none_is_asked_for() -> None:
    assert check_watched("serial", None) is None


def test_what_cannot_be_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cluster in ("serial", "processes"):
        with pytest.raises(SettingsError, match="choose local"):
            check_watched(cluster, tmp_path / "dask.html")
    monkeypatch.setattr(watching, "find_spec", lambda name: object())
    with pytest.raises(SettingsError, match="HTML"):
        check_watched("local", tmp_path / "dask")
    with pytest.raises(OutputError, match="not a folder"):
        check_watched(None, tmp_path / "missing" / "dask.html")
    monkeypatch.setattr(watching, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'bigcell\[report\]'"):
        check_watched("local", tmp_path / "dask.html")


def test_a_report_that_cannot_be_made_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Client:
        calls = 0

        def as_current(self) -> object:
            self.calls += 1
            if self.calls > 1:
                raise OSError("the scheduler is gone")
            return closing(Quiet())

    class Quiet:
        def close(self) -> None:
            pass

    class Report:
        def __init__(self, **_: object) -> None:
            pass

        def __enter__(self) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "performance_report", Report)
        end = watching.watch(Client(), tmp_path / "dask.html")  # type: ignore[arg-type]
        end()
    assert "OSError: the scheduler is gone" in caplog.text
