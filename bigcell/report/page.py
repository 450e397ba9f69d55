"""The page: facts as one HTML file that needs nothing else. All that comes from outside is escaped."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files

from bigcell.core.errors import InputError
from bigcell.core.words import duration, shape, short, size, word
from bigcell.report import charts
from bigcell.report.facts import BlockMap, Facts, Stage, Times

OPEN, CLOSE = '<script type="application/json" id="facts">', "</script>"


def render(facts: Facts) -> str:
    """The page of `facts`. It loads nothing, and its policy forbids that it does."""
    style, script = (files("bigcell.report").joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
    )
    held = {**facts.to_json()}
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(facts.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>",
            *(part for part in _parts(facts) if part),
            f"</main>\n{OPEN}{_harmless(held)}{CLOSE}\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def facts_in(page: str) -> Facts:
    """The facts that a page was made of. InputError for a page that is none of ours."""
    _, found, rest = page.partition(OPEN)
    try:
        return Facts.from_json(json.loads(rest.partition(CLOSE)[0])) if found else Facts.from_json(None)
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
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


def _section(name: str, about: str, content: str) -> str:
    return f'<section>\n<h2>{escape(name)}</h2>\n<p class="faint">{escape(about)}</p>\n{content}\n</section>'


def _head(facts: Facts) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.rows)
    said = {
        "finished": "",
        "running": "This run goes on; the page shows how far it was.",
        "stopped": "This run stopped before its end.",
    }
    told = f'<p class="bad">{said[facts.state]}</p>' if said.get(facts.state) else ""
    return f"<header>\n<h1>{escape(facts.title)}</h1>\n{told}<dl>{rows}</dl>\n</header>"


def _problems(facts: Facts) -> str:
    """What the user should know, first what failed."""
    lines = [(text, "bad") for text in facts.failures] + [(text, "") for text in (*facts.notices, *facts.lost)]
    if not lines:
        return ""
    items = "".join(f"<li{f' class={kind}' if kind else ''}>{escape(text)}</li>" for text, kind in lines)
    said = f"Tasks that were set aside: {len(facts.failures)}." if facts.failures else "No task was set aside."
    return _section("Notices", said, f"<ul>{items}</ul>")


def _table(caption: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


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
    return _section("Stages", about, _table("Every task counted once, whichever driver it was done for.", names, rows))


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
    return _section("Blocks", about, canvas + _map_tables(blocks))


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
        + _table("Cells of the map", ("", "least", "median", "mean", "most"), numbers)
        + _table("Where it took longest (voxels z, y, x; time a block)", ("place", "time"), slow)
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
    return _section("Over time", about, "".join(rows) + charts.time_axis(times))


def _memory(times: Times, planned: int) -> str:
    about = f"The most that any worker process had held: {size(max(times.peaks))}."
    about += f" The plan allowed for {size(planned)} in each." if planned else ""
    return _section("Memory", about, charts.memory(times, planned))


def _sizes(facts: Facts) -> str:
    found = facts.histogram
    if found is None or not found.counts:
        return ""
    rows = [(f"{found.edges[i]:.0f} to {found.edges[i + 1]:.0f}", str(count)) for i, count in enumerate(found.counts)]
    table = f"<details><summary>In numbers</summary>{_table('Objects by size', ('voxels', 'objects'), rows)}</details>"
    about = f"{sum(found.counts)} objects by their number of voxels, on a logarithmic scale; "
    about += f"the fullest bin holds {max(found.counts)}."
    return _section("Sizes", about, charts.histogram(found) + table)


def _seams(facts: Facts) -> str:
    seams = facts.seams
    if seams is None:
        return ""
    about = (
        f"Share of neighbouring voxels whose labels differ, at {seams.faces} faces of blocks and at planes up to "
        f"{max(seams.offsets)} voxels away. Cells know nothing of blocks, so the face must not stand out."
    )
    verdict = f'<p class="{"good" if seams.clean else "bad"}">{escape(seams.verdict)}</p>'
    return _section("Seams", about, verdict + charts.planes(seams))


def _pictures(facts: Facts) -> str:
    if not facts.pictures:
        return ""
    shown = "".join(
        f'<figure><img src="data:image/png;base64,{escape(p.png)}" width="{p.size[1]}" height="{p.size[0]}" '
        f'alt="{escape(p.caption)}"><figcaption>{escape(p.caption)}</figcaption></figure>'
        for p in facts.pictures
    )
    about = "Random planes with the outlines of objects. White marks at the edges show where blocks meet."
    return _section("Places", about, f'<div class="pictures">{shown}</div>')


def _made(facts: Facts) -> str:
    command = f"<p>The same labels again: <code>{escape(facts.command)}</code></p>" if facts.command else ""
    versions = ", ".join(f"{name} {text}" for name, text in facts.versions.items())
    plan = f"<details><summary>The plan</summary><pre>{escape(facts.plan)}</pre></details>" if facts.plan else ""
    return _section("How it was made", versions, command + plan)
