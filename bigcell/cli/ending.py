"""How the command line ends when it is told to: Ctrl-C, SIGTERM (which queues send first) or SIGHUP (ssh has gone).

Whenever it comes, one line on stderr says what is left and how to go on, and the exit code is 128 and the signal's
number. Before there is work to keep the process ends at once. Within `Ending.keeping` a KeyboardInterrupt unwinds the
work; what has not ended after `GRACE` seconds, or when a second signal comes, is ended with all worker processes.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

GRACE = 10.0
"""Seconds for tasks in flight to end, once the process is told to."""
HOW = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}
if hasattr(signal, "SIGHUP"):
    HOW[signal.SIGHUP] = "ended by SIGHUP"
NOTHING = "nothing had begun"
DONE = "all that was asked for is done"


class Ending:
    """What is known of the end of this process. Nothing happens unless it is `arm`ed."""

    def __init__(self) -> None:
        self.number = 0
        """The signal that came while there was work to unwind."""
        self._left: Callable[[], str] = lambda: NOTHING
        self._keeping = False
        self._natural = {"main": False, "watch": False}
        self._stderr = 2
        self._last = threading.Lock()

    def arm(self) -> None:
        """From now on signals end this process in this way. What it was told to ignore (by nohup) stays ignored."""
        heard = [number for number in HOW if signal.getsignal(number) is not signal.SIG_IGN]
        with suppress(OSError):  # closed
            self._stderr = os.dup(2)
        out, into = os.pipe()
        os.set_blocking(into, False)
        signal.set_wakeup_fd(into, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(out, frozenset(map(int, heard))), daemon=True).start()
        for number in heard:
            signal.signal(number, self._hear)

    @contextmanager
    def keeping(self, left: Callable[[], str]) -> Iterator[None]:
        """Meanwhile there is work to unwind. `left` says, without looking at a disk, what is left and how to go on."""
        self._left, self._keeping = left, True
        try:
            yield
        finally:
            self._keeping = False
        self._left = lambda: DONE

    @contextmanager
    def natural(self) -> Iterator[None]:
        """Meanwhile Ctrl-C is how this is meant to end: a plain KeyboardInterrupt, once."""
        self._natural = {"main": True, "watch": True}  # each takes notice of the signal for itself
        try:
            yield
        finally:
            self._natural["main"] = False

    def end(self, number: int) -> NoReturn:
        """Say the line, end the workers and this process."""
        if not self._last.acquire(blocking=False):  # another thread is at it, and may hang
            time.sleep(GRACE)
            os._exit(128 + number)
        with suppress(OSError):  # the terminal may be gone
            os.write(self._stderr, self._line(number).encode())
        if "psutil" in sys.modules:  # which comes before the first process does
            _end_children()
        os._exit(128 + number)

    def _line(self, number: int) -> str:
        left = self._left()
        fresh = "\n" if os.isatty(self._stderr) else ""  # beside ^C, or a bar
        return f"{fresh}bigcell: {HOW[signal.Signals(number)]}; {left}\n" if left else ""

    def _hear(self, number: int, _: FrameType | None) -> None:
        """The handler, in the main thread, when it runs Python again."""
        if self._last.locked():  # the end was begun, perhaps by the very code that this comes into
            return
        if self._is_natural(number, "main"):
            raise KeyboardInterrupt
        if self.number or not self._keeping:
            self.end(self.number or number)
        self.number = number
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what breaks off now is no news
        raise KeyboardInterrupt

    def _watch(self, signals: int, heard: frozenset[int]) -> None:
        """Sees signals at once, also while the main thread is in a long computation, and ends what does not end."""
        first, until = 0, 0.0
        while True:
            patience = max(0.0, until - time.monotonic()) if until else None
            came = os.read(signals, 1)[0] if select.select([signals], [], [], patience)[0] else 0
            if came and (came not in heard or self._is_natural(came, "watch")):
                continue
            if first or not self._keeping:
                self.end(first or came)
            first, until = came, time.monotonic() + GRACE

    def _is_natural(self, number: int, who: str) -> bool:
        expected = number == signal.SIGINT and self._natural[who]
        self._natural[who] &= not expected
        return expected


def _end_children() -> None:
    """By SIGTERM, which Python's resource tracker ignores: it then takes away what the others have left."""
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.terminate()


ENDING = Ending()
"""That of this process."""
