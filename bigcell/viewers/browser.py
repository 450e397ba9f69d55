"""Showing a page in the browser of this machine."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={url}">
<a href="{url}">The view</a>
"""


@contextmanager
def browsed(url: str) -> Iterator[None]:
    """Meanwhile `url` is open in the browser.

    The browser is given a file of this user alone, which leads there: every account can read command lines, and `url`
    holds a secret word. The file goes at the end.
    """
    with TemporaryDirectory(prefix="bigcell-view-") as folder:  # made for its owner alone
        page = Path(folder) / "view.html"
        page.write_text(_PAGE.format(url=escape(url)), encoding="utf-8")
        webbrowser.open(page.as_uri())
        yield
