"""Curves over the steps of something that was done many times, as HTML with SVG inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from bigcell.report.charts import axis

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One or two lines of points (x, y) in a frame of their own; `about` stands on its right."""

    name: str
    about: str
    lines: tuple[Points, ...]


def curve(shown: Curve, whole: float, top: float | None = None) -> Markup:
    """A frame with the lines of `shown` over 0 to `whole`, from 0 to `top` (by default their highest point).

    >>> curve(Curve("loss", "0.5", (((0, 1.0), (10, 0.5)),)), 10).count("<polyline")
    1
    """
    high = top or max((y for line in shown.lines for _, y in line), default=0.0) or 1.0
    drawn = "".join(_line(line, whole, high, second=i > 0) for i, line in enumerate(shown.lines) if line)
    return Markup(
        f'<div class="strip"><div class="name"><span>{escape(shown.name)}</span>'
        f'<span class="unit">{escape(shown.about)}</span></div><div class="plot tall">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(f"{shown.name}: {shown.about}")}">{drawn}</svg></div></div>'
    )


def steps_axis(whole: int) -> Markup:
    """Marks of steps below curves.

    >>> steps_axis(300).count("<span")
    5
    """
    return axis([(k / 4, str(round(whole * k / 4))) for k in range(5)])


def _line(points: Points, whole: float, top: float, *, second: bool) -> str:
    places = " ".join(f"{100 * x / (whole or 1):.2f},{100 - 100 * min(y, top) / top:.2f}" for x, y in points)
    kind = ' class="second"' if second else ""
    return f'<polyline{kind} points="{places}"/>'
