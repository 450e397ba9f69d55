"""The table of docs/reference/readers.md, from what the readers said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from tests.readers.readers import READERS, Reader, silent, wrong
from tests.readers.stores import FACTS, FORMS, KINDS, Store

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "readers.md"
BEGIN, END = "<!-- made by ./scripts/readers --write -->", "<!-- end -->"
Said = Mapping[tuple[str, str], Mapping[str, Any]]
Stores = Mapping[tuple[str, str], Store]


def table(said: Mapping[Reader, Said], stores: Stores) -> str:
    """A row for each reader, a column for each form."""
    rows = [["reader", "tells", *FORMS], ["---"] * (2 + len(FORMS))]
    for reader in READERS:
        told = [fact for fact in FACTS if any(facts.get(fact) is not None for facts in said[reader].values())]
        cells = [_cell(said[reader], stores, form, set(told)) for form in FORMS]
        rows.append([f"{reader.package} {reader.version}", ", ".join(told) or "nothing", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(said: Said, stores: Stores, form: str, told: set[str]) -> str:
    """What is read of one form; "all" is all that the reader tells, of both images and of labels."""
    failed = [kind for kind in KINDS if "error" in said[form, kind]]
    if len(failed) == len(KINDS):
        return "not read"
    remarks = [f"{kind} not read" for kind in failed]
    for name, found in (("no", silent), ("wrong", wrong)):
        for fact in FACTS:
            kinds = [
                kind
                for kind in KINDS
                if kind not in failed and fact in found(dict(said[form, kind]), stores[form, kind].facts) & told
            ]
            if kinds:
                remarks.append(f"{name} {fact}" + ("" if len(kinds) == len(KINDS) else f" of {' and '.join(kinds)}"))
    return "; ".join(remarks) or "all"


def written() -> str:
    """The table as it stands on the page."""
    return _part()[1].partition("\n\n")[2].strip()


def write(made: str) -> None:
    """Put `made`, and the date, into the page."""
    before, _, after = _part()
    PAGE.write_text(f"{before}{BEGIN}\nTried on {date.today()}.\n\n{made}\n{END}{after}")


def _part() -> tuple[str, str, str]:
    found = re.fullmatch(f"(.*){re.escape(BEGIN)}\n(.*){re.escape(END)}(.*)", PAGE.read_text(), re.DOTALL)
    assert found, f"{PAGE} lacks the place of the table"
    return found[1], found[2], found[3]
