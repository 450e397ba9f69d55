"""`bigcell view` as a program: it prints an address that answers, and Ctrl-C ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from bigcell.cli.view import tunnel

PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from bigcell.cli import main; main()"
)


def test_it_serves_until_interrupted(flow_store: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "view", str(flow_store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert urllib.request.urlopen(url, timeout=120).status == 200
        while "Ctrl-C" not in running.stdout.readline():
            pass
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, errors) == (0, "")


def test_the_tunnel_carries_both_ports() -> None:
    assert tunnel((8001, 8002)).startswith("ssh -L 8001:127.0.0.1:8001 -L 8002:127.0.0.1:8002 ")
