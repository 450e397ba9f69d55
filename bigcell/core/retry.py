"""Trying again, after pauses that grow, what may work the next time."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Retries:
    """`tries` in all, with `pause` seconds after the first that failed, and twice as long after each further one.

    >>> retries, done = Retries(3, pause=0), []
    >>> while retries.again():
    ...     done.append(retries.failed)
    >>> done
    [1, 2]
    """

    tries: int
    pause: float
    failed: int = 0

    def again(self, *, progress: bool = False) -> bool:
        """Note that a try failed. True, after the pause, where there is another one; False at once where there is none.

        `progress`: it came so far that all tries count anew, after half the first pause.
        """
        self.failed = 0 if progress else self.failed + 1
        if self.failed >= self.tries:
            return False
        time.sleep(self.pause * 2.0 ** (self.failed - 1))
        return True
