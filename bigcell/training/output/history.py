"""The history of a training for others to read: ``metrics.csv``, and TensorBoard where it is asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bigcell.core.errors import SettingsError
from bigcell.io.atomic import write_text
from bigcell.training.loop.events import Event, Looked
from bigcell.training.loop.state import Row

METRICS = "metrics.csv"


def write_metrics(folder: Path, history: Sequence[Row]) -> Path:
    """``metrics.csv`` in `folder`: a row for each of `history`, and only these. What was not measured is left empty."""
    held = io.StringIO()
    writer = csv.DictWriter(held, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in history:
        writer.writerow({name: "" if value is None else value for name, value in asdict(row).items()})
    return write_text(folder / METRICS, held.getvalue())


class TensorBoard:
    """A listener that writes every row to ``tensorboard`` in `folder`. SettingsError where it is not installed."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise SettingsError(
                f"TensorBoard cannot be loaded ({error}): install it with pip install 'bigcell[train]', or leave "
                "--tensorboard out; metrics.csv has the same numbers"
            ) from error
        self._make, self._place = SummaryWriter, str(folder / "tensorboard")
        self._writer: Any = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Looked):
            self._writer = self._writer or self._make(self._place)
            for name, value in asdict(event.row).items():
                if value is not None and name not in ("step", "epoch"):
                    self._writer.add_scalar(name, value, event.row.step)
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
