from __future__ import annotations

from bigcell.io.scratch import MemoryScratch
from bigcell.provenance.journal import Journal


def test_what_is_marked_is_finished() -> None:
    journal = Journal(MemoryScratch())
    journal.mark("follow", "3", {"reach": 5})
    journal.mark("follow", "3", {"reach": 5})
    assert journal.finished("follow") == {"3": {"reach": 5}}
    assert journal.finished("name") == {}
