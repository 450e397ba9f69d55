"""Corrections among the training data: sources that together give a stated share of the crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bigcell.core.errors import SettingsError
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.source import Crop, Source
from bigcell.training.stacks.labelled_planes import Example


@dataclass
class Reweighted:
    """`source`, drawn as often as `weight` says."""

    source: Source
    weight: float

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def channels(self) -> int:
        return self.source.channels

    def draw(self, rng: np.random.Generator, augmentation: Augmentation) -> Crop:
        return self.source.draw(rng, augmentation)

    def planes(self) -> Iterator[Example]:
        return self.source.planes()


def mixed(sources: Sequence[Source], added: Sequence[Source], share: float) -> list[Source]:
    """All of them, so that those that are `added` give `share` of the crops. Among themselves weights stay in
    proportion."""
    if not 0 < share < 1:
        raise SettingsError(f"share {share}: wanted the part of the crops that corrections give, between 0 and 1")
    parts = ((sources, 1 - share), (added, share))
    return [Reweighted(s, s.weight * part / sum(t.weight for t in group)) for group, part in parts for s in group]
