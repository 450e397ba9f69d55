"""Budget: what a run costs, in numbers that stand in its plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Bytes unless said otherwise. `seconds` is of all stages on `workers`, 0 where nothing was calibrated.

    `slab`: layers of blocks that are taken down the road together, so that `scratch` is what stands at any one time;
    0 where every stage is done with before the next begins, which takes `stagewise`.
    """

    worker: int
    driver: int
    scratch: int
    output: int
    files: int
    seconds: float = 0.0
    workers: int = 1
    slab: int = 0
    stagewise: int = 0
