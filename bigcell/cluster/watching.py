"""Dask's own report of what its scheduler and workers did (task stream, transfers), for those who tune a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distributed import Client, performance_report

from bigcell.core.errors import OutputError, SettingsError
from bigcell.core.paths import local_path

log = logging.getLogger(__name__)


def check_watching(path: str | Path) -> Path:
    """`path` as the place of such a report. Refused, before any work, where it could not be made or written."""
    place = local_path(path).absolute()
    if find_spec("bokeh") is None:
        raise SettingsError("dask draws its performance report with bokeh: pip install 'bigcell[report]'")
    if place.suffix not in (".html", ".htm"):
        raise SettingsError(f"performance_report {str(path)!r}: wanted the name of an HTML file, as in dask.html")
    if not place.parent.is_dir():
        raise OutputError(f"{place.parent} is not a folder; give the performance report a place that is there")
    return place


def watch(client: Client, path: Path) -> Callable[[], None]:
    """Begin to watch the scheduler of `client`. What is returned writes the report; it never raises."""
    report: Any = performance_report(filename=str(path), mode="inline")  # nothing is loaded when it is opened
    with client.as_current():
        report.__enter__()

    def end() -> None:
        try:
            with client.as_current():
                report.__exit__(None, None, None)
        except Exception as error:  # the run has ended, well or not; its scheduler may be gone
            log.warning("dask's performance report could not be made: %s: %s", type(error).__name__, error)

    return end
