"""Parts that pages are made of: one HTML file that needs nothing else.

The templates escape all that comes from outside. What is HTML already is `Markup`; any other text that looks like HTML
is shown as it is, so a part that forgets to say that it is HTML is seen, and lets nothing in.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from bigcell.core.volume import Array
from bigcell.report.facts import Picture


@lru_cache(maxsize=1)
def _templates() -> Environment:
    loader = PackageLoader("bigcell.report")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )


def part(name: str, *values: Any) -> Markup:
    """The macro `name` of ``templates/parts.html`` with its `values`, in their order."""
    made: Markup = getattr(_templates().get_template("parts.html").module, name)(*values)
    return made


def document(title: str, parts: Iterable[Markup], *, script: str = "", held: Markup = Markup("")) -> str:  # noqa: B008
    """A page of `parts`; empty ones are left out. It loads nothing, and its policy forbids that it does.

    `script` is the only one that may run; `held` stands before it.
    """
    return (
        _templates()
        .get_template("document.html")
        .render(
            title=title,
            parts=parts,
            style=Markup(resource("page.css")),  # our own file
            script=Markup(script),
            script_hash=b64encode(sha256(script.encode()).digest()).decode(),
            held=held,
        )
    )


def resource(name: str) -> str:
    """A text file that comes with the pages."""
    return files("bigcell.report").joinpath(name).read_text("utf-8")


def heading(title: str, rows: Iterable[tuple[str, str]], warning: str = "") -> Markup:
    """The head of a page: names and values, and what is wrong, if anything is."""
    return part("heading", title, rows, warning)


def section(name: str, about: str, content: Markup) -> Markup:
    """A card with a title, a sentence, and `content`."""
    return part("section", name, about, content)


def table(caption: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table of texts that scrolls where it is too wide."""
    return part("table", caption, names, rows)


def details(summary: str, *contents: Markup) -> Markup:
    """`contents` that are seen once `summary` is clicked."""
    return part("details", summary, Markup("").join(contents))


def figures(pictures: Sequence[Picture], *, wide: bool = False) -> Markup:
    """Pictures with their captions, in columns, or if `wide` each in a row of its own."""
    return part("figures", pictures, wide)


def picture(drawn: Array, caption: str) -> Picture:
    """`drawn`, RGB 0..1 ``(rows, columns, 3)``, to stand in a page."""
    rows, columns = drawn.shape[:2]
    return Picture(b64encode(png(np.rint(drawn * 255).astype(np.uint8))).decode(), (rows, columns), caption)


def png(pixels: Array) -> bytes:
    """The PNG file of `pixels` (rows, columns, 3) of uint8."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=9)
    return file.getvalue()
