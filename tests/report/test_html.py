"""Parts of pages: pictures come back as they went in, and text stays text."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from jinja2 import UndefinedError

from bigcell.report.html import document, heading, part, png, section, table


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (40, 3, 3)])
def test_another_reader_reads_it(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = matplotlib.image.imread(BytesIO(png(picture)), format="png")
    assert np.array_equal(np.rint(found[..., :3] * 255), picture)


def test_text_that_looks_like_html_stays_text() -> None:
    evil = "<script>alert(1)</script>'\"&amp;"
    not_markup: Any = evil
    parts = [section(evil, evil, not_markup), table(evil, [evil], [[evil]]), heading(evil, [(evil, evil)], evil)]
    page = document(evil, parts)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&#39;&#34;&amp;amp;") == 12


def test_a_part_with_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="warning"):
        str(part("heading", "title"))
