"""Curves and the parts of pages: in their frame, escaped, and with nothing to load."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bigcell.report.curves import Curve, curve, steps_axis
from bigcell.report.html import document, figures, heading, picture, section, table

EVIL = "<script>alert(1)</script>\"'&"


def points(drawn: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", drawn)]


def test_a_line_fills_its_frame() -> None:
    drawn = curve(Curve("loss", "0.5", (((0, 2.0), (50, 1.0), (100, 0.0)),)), 100)
    assert points(drawn) == [(0, 0), (50, 50), (100, 100)]


def test_two_lines_share_a_scale_that_may_be_given() -> None:
    shown = Curve("ap", "", (((0, 0.5),), ((10, 0.25),)))
    assert points(curve(shown, 10)) == [(0, 0), (100, 50)]
    assert points(curve(shown, 10, 1.0)) == [(0, 50), (100, 75)]
    assert curve(shown, 10).count('class="second"') == 1


@pytest.mark.parametrize("lines", [(), ((),), (((0, 0.0),),)])
def test_nothing_is_drawn_of_nothing(lines: tuple[tuple[tuple[float, float], ...], ...]) -> None:
    assert "nan" not in curve(Curve("x", "", lines), 0)


def test_marks_of_steps() -> None:
    assert re.findall(r">(\d+)<", steps_axis(400)) == ["0", "100", "200", "300", "400"]


def test_all_that_comes_from_outside_is_escaped() -> None:
    drawn = picture(np.zeros((4, 6, 3), np.float32), EVIL)
    assert drawn.size == (4, 6)
    parts = [
        heading(EVIL, [(EVIL, EVIL)], EVIL),
        section(EVIL, EVIL, ""),
        table(EVIL, [EVIL], [[EVIL]]),
        figures([drawn], wide=True),
        curve(Curve(EVIL, EVIL, ()), 1),
    ]
    page = document(EVIL, [*parts, ""])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 10
    assert "script-src" not in page
    assert "script-src 'sha256-" in document("t", [], script="let a = 1")
