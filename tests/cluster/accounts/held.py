"""A run that stands still after its first task until its standard input ends: ``held.py ARGUMENTS`` (as JSON)."""

from __future__ import annotations

import json
import sys

import bigcell
from bigcell.engine.runtime.events import Event, TaskDone


def main() -> None:
    told = []

    def listen(event: Event) -> None:
        if isinstance(event, TaskDone) and not told:
            told.append(event)
            sys.stdout.write("standing\n")
            sys.stdout.flush()
            sys.stdin.read()

    bigcell.segment(**json.loads(sys.argv[1]), listener=listen)


if __name__ == "__main__":
    main()
