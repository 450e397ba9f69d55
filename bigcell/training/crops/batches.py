"""Batches: what every step of a training sees, as a function of its number; and the same made ahead of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from bigcell.core.errors import SettingsError
from bigcell.core.processes.interrupts import shielded
from bigcell.core.processes.spawning import Spawning
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.source import Crop, Source, check_channels, with_channels
from bigcell.training.stacks.labelled_planes import Batch


class Batches:
    """Batch `step` is a pure function of the sources, the augmentation, `size`, `seed` and `step`.

    So a training is taken up again without any random state, and processes that each take a part (`rank` of `of`) see
    together what one would. A batch has `channels` channels, by default those of the richest source; others are filled
    up with zeros. Picklable: workers make batches of their own copy.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        augmentation: Augmentation,
        size: int,
        seed: int,
        *,
        channels: int | None = None,
    ) -> None:
        weights = np.array([source.weight for source in sources], float)
        if not len(weights) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise SettingsError(f"weights of sources are {weights.tolist()}; wanted some from 0, and one above it")
        if size < 1:
            raise SettingsError(f"batches of {size} crops; wanted at least 1")
        if channels is not None:
            check_channels(sources, channels)
        self.sources, self.augmentation, self.size, self.seed = tuple(sources), augmentation, size, seed
        self.channels = channels or max(source.channels for source in sources)
        self._share = np.cumsum(weights / weights.sum())

    def batch(self, step: int, *, rank: int = 0, of: int = 1) -> Batch:
        """Batch number `step` (from 0), or the part of it that process `rank` of `of` takes."""
        items = self._items(rank, of)
        batch = _joined([self._crop(step, item) for item in items])
        if self.augmentation.intensity:
            return batch
        return replace(batch, seeds=np.array([self._rng(step, item, 1).integers(1 << 62) for item in items]))

    def __getitem__(self, step: int) -> Batch:
        return self.batch(step)

    def names(self, step: int) -> tuple[str, ...]:
        """The names of the sources that the crops of batch `step` come from, in order."""
        return tuple(self._source(self._rng(step, item)).name for item in range(self.size))

    def ahead(
        self, start: int, stop: int, *, workers: int = 1, processes: bool = False, rank: int = 0, of: int = 1
    ) -> Iterator[Batch]:
        """Batches `start` to `stop` in order, made by threads or `processes` up to two a worker ahead of use."""
        with shielded():
            executor: Executor = (
                ProcessPoolExecutor(workers, Spawning(), _adopt, (self,))
                if processes
                else ThreadPoolExecutor(workers, "batches")
            )
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in range(start, stop):
                waiting.append(_submitted(executor, None if processes else self, step, rank, of))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)

    def _items(self, rank: int, of: int) -> range:
        if not 0 <= rank < of <= self.size:
            raise SettingsError(f"part {rank} of {of} of a batch of {self.size}; wanted a part that holds a crop")
        return range(self.size * rank // of, self.size * (rank + 1) // of)

    def _rng(self, step: int, item: int, use: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, step, item, use])

    def _source(self, rng: np.random.Generator) -> Source:
        return self.sources[min(int(np.searchsorted(self._share, rng.random(), side="right")), len(self.sources) - 1)]

    def _crop(self, step: int, item: int) -> Crop:
        rng = self._rng(step, item)
        source = self._source(rng)
        crop = source.draw(rng, self.augmentation)
        return Crop(with_channels(crop.image, self.channels, name=source.name), crop.flows, crop.inside, crop.known)


def _joined(crops: list[Crop]) -> Batch:
    """Crops as one batch; a mask where any of them has one."""
    image, flows, inside = (np.stack([getattr(c, name) for c in crops]) for name in ("image", "flows", "inside"))
    if all(crop.known is None for crop in crops):
        return Batch(image, flows, inside)
    everywhere = np.ones(inside.shape[1:], bool)
    return Batch(image, flows, inside, np.stack([everywhere if c.known is None else c.known for c in crops]))


# A worker process is given its copy of the batches once, and the numbers of steps after that.
_adopted: list[Batches] = []


def _adopt(batches: Batches) -> None:
    _adopted[:] = [batches]


def _made(batches: Batches | None, step: int, rank: int, of: int) -> Batch:
    return (batches or _adopted[0]).batch(step, rank=rank, of=of)


def _submitted(executor: Executor, batches: Batches | None, step: int, rank: int, of: int) -> Future[Batch]:
    with shielded():
        return executor.submit(_made, batches, step, rank, of)
