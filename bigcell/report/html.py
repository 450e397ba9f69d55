"""Parts that pages are made of: one HTML file that needs nothing else. All that comes from outside is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files

import numpy as np

from bigcell.core.volume import Array
from bigcell.report.facts import Picture
from bigcell.report.png import png


def document(title: str, parts: Iterable[str], *, script: str = "", held: str = "") -> str:
    """A page of `parts`; empty ones are left out. It loads nothing, and its policy forbids that it does.

    `script` is the only one that may run; `held` stands before it.
    """
    allowed = f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'{allowed}"
    run = f"<script>{script}</script>\n" if script else ""
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(title)}</title>\n<style>\n{resource('page.css')}</style>\n</head>\n<body>\n<main>",
            *(part for part in parts if part),
            f"</main>\n{held}\n{run}</body>\n</html>\n",
        ]
    )


def resource(name: str) -> str:
    """A text file that comes with the pages."""
    return files("bigcell.report").joinpath(name).read_text("utf-8")


def heading(title: str, rows: Iterable[tuple[str, str]], warning: str = "") -> str:
    """The head of a page: names and values, and what is wrong, if anything is."""
    values = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    told = f'<p class="bad">{escape(warning)}</p>' if warning else ""
    return f"<header>\n<h1>{escape(title)}</h1>\n{told}<dl>{values}</dl>\n</header>"


def section(name: str, about: str, content: str) -> str:
    """A card with a title, a sentence, and `content` (HTML)."""
    return f'<section>\n<h2>{escape(name)}</h2>\n<p class="faint">{escape(about)}</p>\n{content}\n</section>'


def table(caption: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts that scrolls where it is too wide."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def picture(drawn: Array, caption: str) -> Picture:
    """`drawn`, RGB 0..1 ``(rows, columns, 3)``, to stand in a page."""
    rows, columns = drawn.shape[:2]
    return Picture(b64encode(png(np.rint(drawn * 255).astype(np.uint8))).decode(), (rows, columns), caption)


def figures(pictures: Sequence[Picture], *, wide: bool = False) -> str:
    """Pictures with their captions, in columns, or if `wide` each in a row of its own."""
    shown = "".join(
        f'<figure><img src="data:image/png;base64,{escape(p.png)}" width="{p.size[1]}" height="{p.size[0]}" '
        f'alt="{escape(p.caption)}"><figcaption>{escape(p.caption)}</figcaption></figure>'
        for p in pictures
    )
    return f'<div class="pictures{" rows" if wide else ""}">{shown}</div>'
