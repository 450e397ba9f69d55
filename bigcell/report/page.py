"""The page: facts as one HTML file that needs nothing else. All that comes from outside is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape

from bigcell.core.documents import parse_object
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.format import duration, shape, short, size, word
from bigcell.report import charts
from bigcell.report.facts import BlockMap, Facts, Stage, Times
from bigcell.report.html import document, figures, heading, resource, section, table

OPEN, CLOSE = '<script type="application/json" id="facts">', "</script>"


def render(facts: Facts) -> str:
    """The page of `facts`."""
    held = f"{OPEN}{_harmless(facts.to_json())}{CLOSE}"
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


def _parts(facts: Facts) -> Iterable[str]:
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


def _head(facts: Facts) -> str:
    said = {
        "finished": "",
        "running": "This run goes on; the page shows how far it was.",
        "stopped": "This run stopped before its end.",
    }
    return heading(facts.title, facts.rows, said.get(facts.state, ""))


def _problems(facts: Facts) -> str:
    """What the user should know, first what failed."""
    lines = [(text, "bad") for text in facts.failures] + [(text, "") for text in (*facts.notices, *facts.lost)]
    if not lines:
        return ""
    items = "".join(f"<li{f' class={kind}' if kind else ''}>{escape(text)}</li>" for text, kind in lines)
    said = f"Tasks that were set aside: {len(facts.failures)}." if facts.failures else "No task was set aside."
    return section("Notices", said, f"<ul>{items}</ul>")


def _stages(stages: Sequence[Stage]) -> str:
    if not stages:
        return ""
    names = ("stage", "tasks", "elapsed", "work", "voxels/s", "peak memory", "tried again")
    rows = [
        (
            word(s.name),
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


def _map(blocks: BlockMap) -> str:
    choices = "".join(
        f'<label><input type="radio" name="quantity" value="{i}"{" checked" if not i else ""}> {escape(q.name)}</label>'
        for i, q in enumerate(blocks.quantities)
    )
    cell = "" if max(blocks.factors) == 1 else f" A cell of the map stands for {shape(blocks.factors)} blocks."
    about = f"{shape(blocks.blocks)} blocks (z, y, x) of {shape(blocks.block)} voxels.{cell}"
    canvas = (
        f'<div class="controls">{choices}<label>layer <input type="range" id="layer" min="0" max="{blocks.cells[0]}" '
        f'value="0"{" disabled" if blocks.cells[0] == 1 else ""}> <span id="layer-says"></span></label></div>'
        '<canvas id="map" role="img" aria-label="map of blocks; the table below has the same in numbers"></canvas>'
        '<div class="scale"><span id="low"></span><i id="colours"></i><span id="high"></span></div>'
        '<output id="where"></output><noscript><p>The map needs scripts; the table does not.</p></noscript>'
    )
    return section("Blocks", about, canvas + _map_tables(blocks))


def _map_tables(blocks: BlockMap) -> str:
    numbers = [
        (f"{q.name} ({q.unit})" if q.unit else q.name, *(f"{v:.4g}" for v in (q.least, q.middle, q.mean, q.most)))
        for q in blocks.quantities
    ]
    slow = [
        (", ".join(f"{a}:{b}" for a, b in zip(start, stop, strict=True)), f"{seconds:.3g} s")
        for start, stop, seconds in blocks.slow
    ]
    return (
        "<details><summary>In numbers</summary>"
        + table("Cells of the map", ("", "least", "median", "mean", "most"), numbers)
        + table("Where it took longest (voxels z, y, x; time a block)", ("place", "time"), slow)
        + "</details>"
    )


def _times(times: Times, stages: Sequence[Stage]) -> str:
    whole = times.width * len(times.busy)
    rows = [charts.strip("workers at work", f"up to {max(times.busy):.1f}", times.busy, times)]
    found = {rate.stage: rate.each for rate in times.rates}
    for stage in stages:
        rates = found.get(stage.name)
        if not rates or not max(rates):
            continue
        each = stage.voxels / stage.tasks if stage.tasks else 0.0
        told = f"{short(max(rates) * each)} voxels/s, " if each else ""
        rows.append(charts.strip(word(stage.name), f"up to {told}{max(rates):.3g} tasks/s", rates, times))
    pauses = times.pauses
    about = f"Throughput over {duration(whole)} of work."
    if pauses:
        after = ", ".join(duration(p.seconds) for p in pauses[:5])
        about += f" Dashed lines: taken up again, after {after}{' and so on' if len(pauses) > 5 else ''}."
    return section("Over time", about, "".join(rows) + charts.time_axis(times))


def _memory(times: Times, planned: int) -> str:
    about = f"The most that any worker process had held: {size(max(times.peaks))}."
    about += f" The plan allowed for {size(planned)} in each." if planned else ""
    return section("Memory", about, charts.memory(times, planned))


def _sizes(facts: Facts) -> str:
    found = facts.histogram
    if found is None or not found.counts:
        return ""
    rows = [(f"{found.edges[i]:.0f} to {found.edges[i + 1]:.0f}", str(count)) for i, count in enumerate(found.counts)]
    listed = f"<details><summary>In numbers</summary>{table('Objects by size', ('voxels', 'objects'), rows)}</details>"
    about = f"{sum(found.counts)} objects by their number of voxels, on a logarithmic scale; "
    about += f"the fullest bin holds {max(found.counts)}."
    return section("Sizes", about, charts.histogram(found) + listed)


def _seams(facts: Facts) -> str:
    seams = facts.seams
    if seams is None:
        return ""
    about = (
        f"Share of neighbouring voxels whose labels differ, at {seams.faces} faces of blocks and at planes up to "
        f"{max(seams.offsets)} voxels away. Cells know nothing of blocks, so the face must not stand out."
    )
    verdict = f'<p class="{"good" if seams.clean else "bad"}">{escape(seams.verdict)}</p>'
    return section("Seams", about, verdict + charts.planes(seams))


def _pictures(facts: Facts) -> str:
    if not facts.pictures:
        return ""
    about = "Random planes with the outlines of objects. White marks at the edges show where blocks meet."
    return section("Places", about, figures(facts.pictures))


def _made(facts: Facts) -> str:
    command = f"<p>The same labels again: <code>{escape(facts.command)}</code></p>" if facts.command else ""
    versions = ", ".join(f"{name} {text}" for name, text in facts.versions.items())
    plan = f"<details><summary>The plan</summary><pre>{escape(facts.plan)}</pre></details>" if facts.plan else ""
    return section("How it was made", versions, command + plan)
