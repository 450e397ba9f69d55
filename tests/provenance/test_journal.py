from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.errors import PlanError
from bigcell.io.scratch import DiskScratch, MemoryScratch
from bigcell.provenance.journal import Journal, Log

notes = st.dictionaries(
    st.text(max_size=4), st.recursive(st.integers() | st.text(), st.lists, max_leaves=4), max_size=4
)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_what_is_marked_is_finished(kind: str, tmp_path: Path) -> None:
    log: Log = MemoryScratch() if kind == "memory" else DiskScratch(tmp_path)
    journal = Journal(log)
    assert not journal.has_begun("follow_flows")
    journal.mark("follow_flows", "3", {"reach": 5})
    journal.mark("follow_flows", "3", {"reach": 5})
    journal.mark("follow_flows", "2-7", {"to": [1, [2, ["a"]]]})
    assert dict(journal.finished("follow_flows")) == {"3": {"reach": 5}, "2-7": {"to": [1, [2, ["a"]]]}}
    assert journal.has_begun("follow_flows")
    assert dict(journal.finished("label_blocks")) == {}


@given(st.lists(notes, min_size=2, max_size=5), st.data())
def test_a_torn_line_is_not_done_and_the_others_are(results: list[dict[str, object]], data: st.DataObject) -> None:
    log = MemoryScratch()
    journal = Journal(log)
    for key, result in enumerate(results):
        journal.mark("label_blocks", str(key), result)
    lines = log.entries["done/label_blocks"]
    torn = data.draw(st.integers(0, len(lines) - 1))
    lines[torn] = lines[torn][: data.draw(st.integers(0, len(lines[torn]) - 1))]
    wanted = {str(k): r for k, r in enumerate(results) if k != torn}
    assert dict(journal.finished("label_blocks")) == wanted


def test_garbage_is_not_done() -> None:
    log = MemoryScratch()
    for line in (
        b"",
        b" ",
        b"7",
        b"7 ",
        b"7 5",
        b"7 [1]",
        b"\xff {}",
        b"7 {\x00\x00",
        b"7 \xff",
        b"7 " + b"[" * 100_000,
    ):
        log.append("done/label_blocks", line)
    assert dict(Journal(log).finished("label_blocks")) == {}


WRONG = ['{"seconds": "x"}', '{"peak": null}', '{"at": 1e999}', '{"kept": []}', '{"count": NaN}', "[" * 100_000, "3"]


@pytest.mark.parametrize("note", WRONG, ids=lambda text: text[:20])
def test_a_line_with_something_else_where_a_number_belongs_counts_as_torn(note: str) -> None:
    scratch = MemoryScratch()
    scratch.append("done/follow_flows", f"7 {note}".encode())
    assert dict(Journal(scratch).finished("follow_flows")) == {}
    assert not Journal(scratch).has_begun("follow_flows")


def test_what_a_line_does_not_say_is_a_sentence() -> None:
    scratch = MemoryScratch()
    scratch.append("done/follow_flows", b'7 {"seconds": 1.5}')
    note = Journal(scratch).finished("follow_flows")["7"]
    assert note["seconds"] == 1.5
    assert "reach" not in note
    with pytest.raises(PlanError, match=r"does not say 'reach'.*--overwrite"):
        note["reach"]
