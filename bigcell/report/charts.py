"""Charts as HTML with SVG inside: shapes stretch with the page, words keep their size."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from markupsafe import Markup, escape

from bigcell.core.format import duration, short, size
from bigcell.report.facts import Histogram, Pause, Seams, Times

STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800)
"""Seconds that people count in."""
ROOM = 0.7
"""Part of a time axis that has marks; the rest is left to the words at its end."""


def area(values: Sequence[float], top: float, said: str) -> Markup:
    """A filled step line of `values` from 0 to `top`; `said` is what a screen reader says of it."""
    heights = [f"{100 - 100 * v / top:.1f}" if top else "100" for v in values]
    line = "".join(f"V{h}H{i + 1}" for i, h in enumerate(heights))
    return Markup(
        f'<svg viewBox="0 0 {len(values)} 100" preserveAspectRatio="none" role="img" aria-label="{escape(said)}">'
        f'<path d="M0 100{line}V100Z"/></svg>'
    )


def strip(name: str, about: str, values: Sequence[float], times: Times) -> Markup:
    """A row of a chart over time."""
    marks = _pauses(times.pauses, times.width * len(values))
    return Markup(
        f'<div class="strip"><div class="name"><span>{escape(name)}</span><span class="unit">{escape(about)}</span>'
        f'</div><div class="plot">{area(values, max(values, default=0.0), f"{name}: {about}")}{marks}</div></div>'
    )


def time_axis(times: Times) -> Markup:
    """Marks of working time below a chart."""
    whole = times.width * len(times.busy)
    step = next((s for s in STEPS if whole / s <= 5), 604800 * ceil(whole / 604800 / 5))
    places = [k * step for k in range(floor(ROOM * whole / step) + 1)]
    return axis([*((at / whole, tick(at)) for at in places), (1.0, duration(whole))])


def tick(seconds: int) -> str:
    """A round time in its own unit.

    >>> tick(0), tick(30), tick(120), tick(21600), tick(172800)
    ('0', '30 s', '2 min', '6 h', '2 d')
    """
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return "0"


def memory(times: Times, planned: int) -> Markup:
    """The most that a process had held, over time, and what was planned."""
    held, last = [], 0
    for peak in times.peaks:
        last = peak or last
        held.append(float(last))
    top = 1.12 * max(planned, *times.peaks)
    said = f"up to {size(max(times.peaks))} in a process"
    level = 100 - 100 * planned / top
    line = f'<div class="level" style="top:{level:.1f}%"></div>' if planned else ""
    label = (
        f'<div class="says" style="top:calc({level:.1f}% + 4px);right:0">planned {size(planned)}</div>'
        if planned
        else ""
    )
    marks = _pauses(times.pauses, times.width * len(held))
    return Markup(f'<div class="plot tall">{area(held, top, said)}{line}{label}{marks}</div>{time_axis(times)}')


def histogram(found: Histogram) -> Markup:
    """Objects by size, on a logarithmic scale."""
    top = max(found.counts)
    low, high = log10(found.edges[0]), log10(found.edges[-1])
    bars = []
    for i, count in enumerate(found.counts):
        said = f"{found.edges[i]:.0f} to {found.edges[i + 1]:.0f} voxels: {count}"
        height = 100 * count / top
        place = f'x="{i + 0.04}" y="{100 - height:.2f}" width="0.92" height="{height:.2f}"'
        bars.append(f"<rect {place}><title>{said}</title></rect>")
    limits = ""
    for name, limit in (("min_size", found.min_size), ("max_size", found.max_size)):
        at = (log10(limit) - low) / (high - low) if limit > 0 else -1.0
        if 0 <= at <= 1:
            side = f"left:{100 * at:.2f}%" if at < 0.7 else f"right:{100 - 100 * at:.2f}%"
            limits += f'<div class="limit" style="left:{100 * at:.2f}%"></div>'
            limits += f'<div class="says" style="top:0;{side};margin:0 4px">{name} {limit}</div>'
    ticks = [(((k - low) / (high - low)), short(10.0**k)) for k in range(ceil(low), floor(high) + 1)]
    said = f"histogram of {sum(found.counts)} objects, the fullest bin holds {top}"
    return Markup(
        f'<div class="plot tall"><svg viewBox="0 0 {len(bars)} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}">{"".join(bars)}</svg>{limits}</div>{axis(ticks)}'
    )


def planes(seams: Seams) -> Markup:
    """How often labels change across a face and across the planes near it."""
    top = max(seams.shares) or 1.0
    bars, names = [], []
    for offset, share in zip(seams.offsets, seams.shares, strict=True):
        kind = ' class="face"' if offset == 0 else ""
        bars.append(f'<div{kind} style="height:{100 * share / top:.1f}%" title="{100 * share:.2f} %"></div>')
        names.append(f"<span>{'face' if offset == 0 else f'{offset:+d}'}</span>")
    return Markup(
        f'<div class="columns" role="img" aria-label="shares at the planes {escape(str(seams.offsets))}: '
        f'{escape(", ".join(f"{100 * s:.2f} %" for s in seams.shares))}">{"".join(bars)}</div>'
        f'<div class="under" aria-hidden="true">{"".join(names)}</div>'
    )


def _pauses(pauses: Sequence[Pause], whole: float) -> str:
    return "".join(
        f'<div class="pause" style="left:{100 * p.at / whole:.2f}%" title="stopped for {duration(p.seconds)}"></div>'
        for p in pauses
        if whole
    )


def axis(ticks: Sequence[tuple[float, str]]) -> Markup:
    """Words at places from 0 to 1."""
    spans = []
    for place, text in ticks:
        last = ' class="last"' if place > 0.97 else ""
        spans.append(f'<span{last} style="left:{100 * place:.2f}%">{escape(text)}</span>')
    return Markup(f'<div class="axis" aria-hidden="true">{"".join(spans)}</div>')
