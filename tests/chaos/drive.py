"""One driver of a run that is to be disturbed. Notes every finished task, and every failed one, in a file."""

from __future__ import annotations

import json
import sys

import bigcell
from bigcell.engine.events import Event, TaskDone


def main() -> None:
    """``drive.py LOG VERB ARGUMENTS``: a verb of bigcell with arguments as JSON."""
    log, verb, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    with open(log, "a", buffering=1) as out:

        def listen(event: Event) -> None:
            if isinstance(event, TaskDone):
                print(event.stage, event.key, file=out)

        getattr(bigcell, verb)(**arguments, listener=listen)


if __name__ == "__main__":
    main()
