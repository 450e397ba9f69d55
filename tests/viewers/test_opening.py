"""`bigcell view --open`: what the browser is given, and what others can see of it."""

from __future__ import annotations

import stat
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from bigcell.viewers.browser import browsed

URL = "http://127.0.0.1:1234/v/secret/?a=1&b=2"


def test_the_secret_word_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    given = list[str]()
    monkeypatch.setattr(webbrowser, "open", given.append)
    with browsed(URL):
        (word,) = given
        assert "secret" not in word
        page = Path(url2pathname(urlsplit(word).path))
        assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
        assert f'content="0; url={URL.replace("&", "&amp;")}"' in page.read_text()
    assert not page.parent.exists()
