"""The report of a run: gathered from its journal, its table and a few looks at its labels, and written as one page.

A part that cannot be made is left out, and the page says why: a report never ends a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import log10
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bigcell.core.format import duration, shape, size
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.events import region_text
from bigcell.engine.runtime.status import Status
from bigcell.io.atomic import write_text
from bigcell.io.scratch import Scratch
from bigcell.io.stores.urls import without_credentials
from bigcell.io.tables import read_parts
from bigcell.networks.catalogue import CATALOGUE
from bigcell.report.facts import Facts, Histogram, Stage
from bigcell.report.page import render
from bigcell.report.spot_checks import Read, check_seams, take_pictures
from bigcell.report.statistics import RunStatistics
from bigcell.report.timeline import join_times

REPORT_FILE = "report.html"
BINS_A_DECADE = 8
MAX_LISTED = 20
"""Reasons of failed tries that are listed."""
Part = TypeVar("Part")


@dataclass(frozen=True)
class Subject:
    """What a report is of: a `plan`, and labels that are, or will be, at `home`. `objects`: None before the end.

    `stages` are those of the run record, for a run whose journal is gone.
    """

    plan: Plan
    home: str
    versions: Mapping[str, str]
    objects: int | None = None
    status: Status = field(default_factory=Status)
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """What a report is read from: all of it at the end of a run, less before, and later."""

    journal: Scratch | None = None
    table: Path | None = None
    labels: Read | None = None
    image: Read | None = None


def write_report(facts: Facts, path: Path) -> Path:
    """The page of `facts` as a file."""
    return write_text(path, render(facts))


def gather(subject: Subject, sources: Sources) -> Facts:
    """All that there is to tell of a run."""
    plan, labels = subject.plan, sources.labels
    parts = _Parts([])
    account = parts.make(
        "account of tasks", lambda: RunStatistics.of(plan, sources.journal) if sources.journal else None
    )
    histogram = parts.make("sizes of objects", lambda: _histogram(plan, sources.table) if sources.table else None)
    seams = parts.make("check of seams", lambda: check_seams(plan, labels) if labels else None)
    pictures = parts.make("pictures", lambda: take_pictures(plan, sources.image, labels) if labels else None)
    status, budget = subject.status, plan.budget
    now = status.updated if status.state == "running" else None
    facts = Facts(
        title=_title(subject),
        state=status.state,
        rows=_rows(subject, account),
        versions=dict(subject.versions),
        plan=str(plan),
        command=f"bigcell rerun {subject.home}/record.json --output again.zarr" if status.state == "finished" else "",
        stages=_stages(subject, account),
        times=join_times(account.sessions, now) if account else None,
        memory_plan=budget.worker if budget else 0,
        blocks=account.blocks.result() if account and account.stages else None,
        histogram=histogram,
        seams=seams,
        pictures=pictures or (),
        failures=tuple(_failure(about) for about in status.failures),
        notices=(*status.notices, *_tried(account)),
    )
    return replace(facts, lost=tuple(parts.lost))


@dataclass
class _Parts:
    """Parts of a report, and why some are missing."""

    lost: list[str]

    def make(self, name: str, make: Callable[[], Part | None]) -> Part | None:
        try:
            return make()
        except Exception as error:  # labels are whole whatever becomes of their report
            self.lost.append(f"This report has no {name}: {type(error).__name__}: {str(error)[:300]}")
            return None


def _title(subject: Subject) -> str:
    source = without_credentials(str((subject.plan.image or subject.plan.flows).get("source", "an array")))
    name = source.rstrip("/").rpartition("/")[2]
    return f"{name}: {subject.objects} objects" if subject.objects is not None else f"{name}: a run that goes on"


def _rows(subject: Subject, account: RunStatistics | None) -> tuple[tuple[str, str], ...]:
    plan = subject.plan
    source = (plan.image or plan.flows).get("source", "an array in memory")
    rows = [
        ("image" if plan.image else "flows", without_credentials(str(source))),
        ("volume", f"{shape(plan.extent)} voxels (z, y, x), {plan.dtype}, channels {', '.join(plan.channels)}"),
        ("voxel", plan.spacing.described()),
        ("labels", without_credentials(subject.home)),
    ]
    if plan.model:
        rows.append(("model", f"{plan.model} ({plan.model_kind}, SHA-256 {plan.model_sha256[:12]}…)"))
        rows += [("licence", text) for text in [licence_of(plan)] if text]
        rows.append(("diameter", f"{plan.settings.diameter:g} voxels along x"))
    if account is not None and account.sessions:
        rows += _when(account)
    if plan.budget is not None:
        rows.append(("workers", f"{plan.budget.workers} planned, {size(plan.budget.worker)} each"))
    return tuple(rows)


def _when(account: RunStatistics) -> list[tuple[str, str]]:
    first, last = account.sessions[0], account.sessions[-1]
    began, ended = (datetime.fromtimestamp(at, UTC) for at in (first.began, last.began + last.line.stop))
    took = sum(session.line.stop for session in account.sessions)
    again = len(account.sessions) - 1
    times = f", by {again + 1} drivers" if again else ""
    return [("when", f"{began:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC"), ("took", f"{duration(took)}{times}")]


def licence_of(plan: Plan) -> str:
    """On what terms the model may be used, where it is one that was published."""
    entries = CATALOGUE.values()
    file = Path(plan.model).name
    found = CATALOGUE.get(plan.model) or next((e for e in entries if file == e.weights.name), None)
    known = found or next((e for e in entries if e.weights.sha256 and e.weights.sha256 == plan.model_sha256), None)
    return known.licence if known else ""


def _stages(subject: Subject, account: RunStatistics | None) -> tuple[Stage, ...]:
    if account is None:
        return tuple(
            Stage(name, int(s["tasks"]), int(s["tasks"]), elapsed=float(s["seconds"]), peak_bytes=int(s["peak_bytes"]))
            for name, s in subject.stages.items()
        )
    status = subject.status
    found = dict(account.stages)
    if status.state != "finished" and status.stage:
        about = found.get(status.stage, Stage(status.stage, 0, 0))
        found[status.stage] = replace(about, total=max(about.tasks, status.total))
    return tuple(found.values())


def _histogram(plan: Plan, table: Path) -> Histogram | None:
    """Objects by size, bins of equal width on a logarithmic scale. The table is read part by part."""
    counts = np.zeros(16 * BINS_A_DECADE, np.int64)  # up to 10^16 voxels
    for part in read_parts(table, ["voxels"]):
        places = np.floor(np.log10(np.maximum(part["voxels"], 1)) * BINS_A_DECADE + 1e-9).astype(np.int64)
        counts += np.bincount(np.minimum(places, len(counts) - 1), minlength=len(counts))
    filled = np.flatnonzero(counts)
    if not len(filled):
        return None
    sizes = plan.settings.sizes
    limits = [log10(n) * BINS_A_DECADE for n in (sizes.min_size, sizes.max_size) if n > 0]
    first = max(0, int(min([filled[0], *limits])) - 1)
    last = min(len(counts), int(max([filled[-1], *limits])) + 2)
    edges = tuple(round(10 ** (k / BINS_A_DECADE), 3) for k in range(first, last + 1))
    return Histogram(edges, tuple(int(n) for n in counts[first:last]), sizes.min_size, sizes.max_size)


def _tried(account: RunStatistics | None) -> list[str]:
    """The commonest reasons for which tasks were tried again."""
    return (
        [f"{times} x tried in vain: {what}" for what, times in account.tried.most_common(MAX_LISTED)] if account else []
    )


def _failure(about: Mapping[str, Any]) -> str:
    place = region_text(about["box"]) or "-"
    return f"{about['stage']} of {about['key']} ({place}): {about['error']}"
