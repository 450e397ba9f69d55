"""What a comparison leaves in files: its scores as JSON, and the cells that went wrong as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import IO

from bigcell.core.errors import OutputError
from bigcell.core.paths import local_path
from bigcell.evaluation.evaluate import Evaluation
from bigcell.evaluation.inputs import shown
from bigcell.io.atomic import whole_file
from bigcell.metrics.mistakes import USUAL, Mistake, MistakeSettings

COLUMNS = (
    "kind", "truth", "found", "iou", "matched", "parts", "voxels", "volume_um3",
    "z", "y", "x", "z_um", "y_um", "x_um",
)  # fmt: skip


def check_file(path: str | Path) -> Path:
    """`path` as a place for a file; OutputError, before any work, where none can be written."""
    place = local_path(path)
    if place.is_dir():
        raise OutputError(f"{place} is a folder; give the name of a file")
    if not place.absolute().parent.is_dir():
        raise OutputError(f"{place.absolute().parent} is not a folder; make it first")
    return place


def save_scores(evaluation: Evaluation, path: str | Path) -> None:
    """The scores as JSON, with what was compared."""
    compared = evaluation.compared
    about = {
        "found": shown(compared.found, "array"),
        "truth": shown(compared.truth, "array"),
        "boxes": [{"start": list(box.start), "stop": list(box.stop)} for box in compared.boxes],
        **evaluation.scores.to_json(),
    }
    with _written(path) as file:
        json.dump(about, file, indent=1)
        file.write("\n")


def save_mistakes(
    evaluation: Evaluation,
    path: str | Path,
    settings: MistakeSettings = USUAL,
    *,
    link: Callable[[Mistake], str] | None = None,
) -> dict[str, int]:
    """One line for each cell that went wrong, with a link to look at it; returns how many there are of each kind.

    Places are mean voxel indices, also in µm where the voxel size is known (empty where not).
    """
    wrong = evaluation.mistakes(settings)
    with _written(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*COLUMNS, *(["link"] if link else [])])
        for one in wrong:
            table.writerow([*_row(one, evaluation), *([link(one)] if link else [])])
    return {str(kind): count for kind, count in wrong.counts().items()}


def _row(one: Mistake, evaluation: Evaluation) -> list[object]:
    um = evaluation.in_um(one.centre)
    volume = one.voxels * evaluation.compared.spacing.voxel_um3
    return [
        one.kind,
        one.truth,
        one.found,
        f"{one.iou:.4f}",
        int(one.matched),
        one.parts,
        one.voxels,
        f"{volume:.6g}" if evaluation.compared.spacing.known else "",
        *(f"{v:.2f}" for v in one.centre),
        *("" if isnan(v) else f"{v:.3f}" for v in um),
    ]


@contextmanager
def _written(path: str | Path) -> Iterator[IO[str]]:
    """A text file that appears, or takes the place of the one that is there, when it is whole."""
    with whole_file(check_file(path)) as fresh, fresh.open("w", newline="", encoding="utf-8") as file:
        yield file
