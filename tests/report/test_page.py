"""The page: what stands in it, that nothing breaks out of it, that it can be made again."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from bigcell.core.errors import InputError
from bigcell.report.blockmap import BlockSums
from bigcell.report.facts import Facts, Histogram, Picture, Seams, Stage
from bigcell.report.html import png
from bigcell.report.page import facts_in, render
from bigcell.report.timeline import BUSY, Session, Timeline, join_times

EVIL = "</script><script>alert(1)</script><img src=x onerror='alert(\"2\")'>&amp;"
VOID = {"meta", "img", "input"}


class Reader(HTMLParser):
    """Tags in their order with what they hold; an error where they are not nested."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open or "style" in self._open:
            return
        self.words += data
        if self._open and self._open[-1] in ("td", "th"):
            self.cells[-1] += data

    def count(self, tag: str) -> int:
        return sum(t == tag for t, _ in self.tags)


def times() -> Session:
    line = Timeline()
    line.add("follow_flows", 0, 100, 50)
    line.add(BUSY, 0, 100, 190)
    line.mark(60, 2_000_000_000)
    return Session(1_700_000_000.0, line)


def facts(words: str = "brain") -> Facts:
    sums = BlockSums((8, 12, 12), (8, 4, 4), (1, 3, 3))
    sums.seconds[0] = np.arange(9).reshape(3, 3)
    picture = png(np.zeros((6, 8, 3), np.uint8))
    return Facts(
        title=f"{words}.zarr: 1234 objects",
        state="finished",
        rows=(("image", f"/data/{words}.zarr"), (words, "channels")),
        versions={"bigcell": words},
        plan=f"volume {words}",
        command=f"bigcell rerun {words}",
        stages=(Stage("follow_flows", 9, 9, 190.0, 100.0, 1152, 2_000_000_000, 3), Stage(words, 4, 5)),
        times=join_times([times()]),
        memory_plan=3_000_000_000,
        blocks=sums.result(),
        histogram=Histogram((10.0, 100.0, 1000.0), (34, 1200), 15, 0),
        seams=Seams(24, (-1, 0, 1), (0.1, 0.11, 0.1), 1.1, 0.05, f"No seams {words}", True),
        pictures=(Picture(b64encode(picture).decode(), (6, 8), f"z 3 {words}"),),
        failures=(f"follow_flows of 3: {words}",),
        notices=(words,),
        lost=(words,),
    )


def test_every_part_is_there() -> None:
    page = Reader(render(facts()))
    headings = ["Notices", "Stages", "Blocks", "Over time", "Memory", "Sizes", "Seams", "Places", "How it was made"]
    assert page.count("section") == len(headings)
    for heading in headings:
        assert heading in page.words
    assert page.count("canvas") == 1
    row = page.cells[page.cells.index("following flows") :][:7]
    assert row == ["following flows", "9", "100 s", "3 min", "11.5", "2 GB", "3"]
    assert "4 of 5" in page.cells
    assert "1234 objects" in page.words
    assert "planned 3 GB" in page.words


def test_nothing_breaks_out_of_the_page() -> None:
    plain, evil = Reader(render(facts())), Reader(render(facts(EVIL)))
    assert [tag for tag, _ in evil.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(a) for _, a in evil.tags] == [sorted(a) for _, a in plain.tags]
    assert evil.words.count(EVIL) >= 9  # shown as it is


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = Reader(render(facts()))
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "a")
        if "src" in attributes:
            assert tag == "img"
            assert str(attributes["src"]).startswith("data:image/png;base64,")
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    text = render(facts())
    assert "http://" not in text
    assert "https://" not in text


def test_a_page_is_made_again_from_itself() -> None:
    for words in ("brain", EVIL):
        page = render(facts(words))
        assert facts_in(page) == facts(words)
        assert render(facts_in(page)) == page


@pytest.mark.parametrize("damaged", ["", "<html></html>", '<script type="application/json" id="facts">{"a</script>'])
def test_a_page_that_is_none_of_ours(damaged: str) -> None:
    with pytest.raises(InputError):
        facts_in(damaged)


def test_facts_of_another_format_are_refused() -> None:
    page = render(facts()).replace('"format":1', '"format":2')
    with pytest.raises(InputError, match="format 1"):
        facts_in(page)


def test_unknown_facts_are_refused() -> None:
    page = render(facts()).replace('"memory_plan"', '"memory_plain"')
    with pytest.raises(InputError, match="memory_plan"):
        facts_in(page)


def test_a_run_of_which_little_is_known() -> None:
    little = Facts(title="x", state="stopped", rows=(), versions={}, plan="")
    page = Reader(render(little))
    assert page.count("section") == 1
    assert "stopped before its end" in page.words
    assert "goes on" in Reader(render(replace(little, state="running"))).words


def test_charts_have_words_for_those_who_do_not_see_them() -> None:
    page = Reader(render(facts()))
    for tag, attributes in page.tags:
        if tag in ("svg", "canvas"):
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
        if tag == "img":
            assert attributes["alt"]


def test_a_hundred_thousand_blocks_make_a_page_of_bounded_size() -> None:
    random = np.random.default_rng(2)
    sums = BlockSums((470, 470, 470), (10, 10, 10), (47, 47, 47))
    for values in (sums.seconds, sums.objects, sums.retries):
        values[...] = random.uniform(0, 9, values.shape)
    page = render(replace(facts(), blocks=sums.result()))
    assert len(page) < 600_000
    held = json.loads(page.partition('id="facts">')[2].partition("</script>")[0])
    assert np.prod(held["blocks"]["cells"]) <= 2**16
