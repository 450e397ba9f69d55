"""The page about other readers names the versions that are pinned. The readers themselves are run elsewhere."""

from __future__ import annotations

import re

from tests.readers import page
from tests.readers.readers import READERS
from tests.readers.stores import FORMS


def test_the_versions_are_those_that_were_tried() -> None:
    head, _, *rows = page.written().splitlines()
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [f"{r.package} {r.version}" for r in READERS]
    assert head.endswith(f"{' | '.join(FORMS)} |")


def test_the_table_has_a_date() -> None:
    assert re.search(r"^Tried on 20\d\d-\d\d-\d\d\.$", page.PAGE.read_text(), re.MULTILINE)
