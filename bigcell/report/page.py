"""The page: facts as one HTML file that needs nothing else. All that comes from outside is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from bigcell.core.documents import parse_object
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.format import duration, shape, short, size
from bigcell.engine.tasks.stages import label_of
from bigcell.report import charts
from bigcell.report.facts import BlockMap, Facts, Stage, Times
from bigcell.report.html import details, document, figures, heading, part, resource, section, table

OPEN, CLOSE = '<script type="application/json" id="facts">', "</script>"
NOTHING = Markup("")


def render(facts: Facts) -> str:
    """The page of `facts`."""
    held = Markup(f"{OPEN}{_harmless(facts.to_json())}{CLOSE}")
    return document(facts.title, _parts(facts), script=resource("page.js"), held=held)


def facts_in(page: str) -> Facts:
    """The facts that a page was made of. InputError for a page that is none of ours."""
    _, found, rest = page.partition(OPEN)
    try:
        held = parse_object(rest.partition(CLOSE)[0], "the list of facts") if found else None
        return Facts.from_json(held)
    except SettingsError as error:
        raise InputError(f"the facts of this report cannot be read ({error}); it may be damaged") from error


def _harmless(values: object) -> str:
    """JSON in which no tag can begin or end."""
    text = json.dumps(values, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _parts(facts: Facts) -> Iterable[Markup]:
    yield _head(facts)
    yield _problems(facts)
    yield _stages(facts.stages)
    if facts.blocks is not None:
        yield _map(facts.blocks)
    if facts.times is not None:
        yield _times(facts.times, facts.stages)
        yield _memory(facts.times, facts.memory_plan)
    yield _sizes(facts)
    yield _seams(facts)
    yield _pictures(facts)
    yield _made(facts)


def _head(facts: Facts) -> Markup:
    said = {
        "finished": "",
        "running": "This run goes on; the page shows how far it was.",
        "stopped": "This run stopped before its end.",
    }
    return heading(facts.title, facts.rows, said.get(facts.state, ""))


def _problems(facts: Facts) -> Markup:
    """What the user should know, first what failed."""
    notices = (*facts.notices, *facts.lost)
    if not facts.failures and not notices:
        return NOTHING
    said = f"Tasks that were set aside: {len(facts.failures)}." if facts.failures else "No task was set aside."
    return section("Notices", said, part("problems", facts.failures, notices))


def _stages(stages: Sequence[Stage]) -> Markup:
    if not stages:
        return NOTHING
    names = ("stage", "tasks", "elapsed", "work", "voxels/s", "peak memory", "tried again")
    rows = [
        (
            label_of(s.name),
            f"{s.tasks}" if s.tasks == s.total else f"{s.tasks} of {s.total}",
            _seconds(s.elapsed),
            _seconds(s.work),
            short(s.voxels / s.elapsed) if s.voxels and s.elapsed else "–",
            size(s.peak_bytes) if s.peak_bytes else "–",
            str(s.retries),
        )
        for s in stages
    ]
    about = "Elapsed: from the first task to the last, pauses left out. Work: the seconds of all tasks together."
    return section("Stages", about, table("Every task counted once, whichever driver it was done for.", names, rows))


def _seconds(count: float) -> str:
    """As people say it; short times, which are many here, with a tenth.

    >>> _seconds(0.43), _seconds(42.0), _seconds(0)
    ('0.4 s', '42 s', '–')
    """
    return "–" if not count else f"{count:.1f} s" if count < 10 else duration(count)


def _map(blocks: BlockMap) -> Markup:
    cell = "" if max(blocks.factors) == 1 else f" A cell of the map stands for {shape(blocks.factors)} blocks."
    about = f"{shape(blocks.blocks)} blocks (z, y, x) of {shape(blocks.block)} voxels.{cell}"
    controls = part("block_map", [q.name for q in blocks.quantities], blocks.cells[0])
    return section("Blocks", about, controls + _map_tables(blocks))


def _map_tables(blocks: BlockMap) -> Markup:
    numbers = [
        (f"{q.name} ({q.unit})" if q.unit else q.name, *(f"{v:.4g}" for v in (q.least, q.middle, q.mean, q.most)))
        for q in blocks.quantities
    ]
    slow = [
        (", ".join(f"{a}:{b}" for a, b in zip(start, stop, strict=True)), f"{seconds:.3g} s")
        for start, stop, seconds in blocks.slow
    ]
    return details(
        "In numbers",
        table("Cells of the map", ("", "least", "median", "mean", "most"), numbers),
        table("Where it took longest (voxels z, y, x; time a block)", ("place", "time"), slow),
    )


def _times(times: Times, stages: Sequence[Stage]) -> Markup:
    whole = times.width * len(times.busy)
    rows = [charts.strip("workers at work", f"up to {max(times.busy):.1f}", times.busy, times)]
    found = {rate.stage: rate.each for rate in times.rates}
    for stage in stages:
        rates = found.get(stage.name)
        if not rates or not max(rates):
            continue
        each = stage.voxels / stage.tasks if stage.tasks else 0.0
        told = f"{short(max(rates) * each)} voxels/s, " if each else ""
        rows.append(charts.strip(label_of(stage.name), f"up to {told}{max(rates):.3g} tasks/s", rates, times))
    pauses = times.pauses
    about = f"Throughput over {duration(whole)} of work."
    if pauses:
        after = ", ".join(duration(p.seconds) for p in pauses[:5])
        about += f" Dashed lines: taken up again, after {after}{' and so on' if len(pauses) > 5 else ''}."
    return section("Over time", about, Markup("").join(rows) + charts.time_axis(times))


def _memory(times: Times, planned: int) -> Markup:
    about = f"The most that any worker process had held: {size(max(times.peaks))}."
    about += f" The plan allowed for {size(planned)} in each." if planned else ""
    return section("Memory", about, charts.memory(times, planned))


def _sizes(facts: Facts) -> Markup:
    found = facts.histogram
    if found is None or not found.counts:
        return NOTHING
    rows = [(f"{found.edges[i]:.0f} to {found.edges[i + 1]:.0f}", str(count)) for i, count in enumerate(found.counts)]
    listed = details("In numbers", table("Objects by size", ("voxels", "objects"), rows))
    about = f"{sum(found.counts)} objects by their number of voxels, on a logarithmic scale; "
    about += f"the fullest bin holds {max(found.counts)}."
    return section("Sizes", about, charts.histogram(found) + listed)


def _seams(facts: Facts) -> Markup:
    seams = facts.seams
    if seams is None:
        return NOTHING
    about = (
        f"Share of neighbouring voxels whose labels differ, at {seams.faces} faces of blocks and at planes up to "
        f"{max(seams.offsets)} voxels away. Cells know nothing of blocks, so the face must not stand out."
    )
    return section("Seams", about, part("verdict", seams.verdict, seams.clean) + charts.planes(seams))


def _pictures(facts: Facts) -> Markup:
    if not facts.pictures:
        return NOTHING
    about = "Random planes with the outlines of objects. White marks at the edges show where blocks meet."
    return section("Places", about, figures(facts.pictures))


def _made(facts: Facts) -> Markup:
    command = part("command", "The same labels again", facts.command) if facts.command else NOTHING
    versions = ", ".join(f"{name} {text}" for name, text in facts.versions.items())
    plan = details("The plan", part("preformatted", facts.plan)) if facts.plan else NOTHING
    return section("How it was made", versions, command + plan)
