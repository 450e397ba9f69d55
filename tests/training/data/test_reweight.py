"""Corrections give the share of the crops that was asked for."""

from __future__ import annotations

from collections import Counter

import pytest

from bigcell.core.errors import SettingsError
from bigcell.testing.labelled import synthetic_images
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.batches import Batches
from bigcell.training.data.reweight import Reweighted, mixed

OLD = [
    Reweighted(synthetic_images(1, 48, diameter=12, name=name), weight) for name, weight in (("a", 30.0), ("b", 10.0))
]
NEW = [synthetic_images(1, 48, diameter=12, seed=5, name="new")]


def test_the_share_is_what_was_asked() -> None:
    weights = {source.name: source.weight for source in mixed(OLD, NEW, 0.2)}
    assert weights == pytest.approx({"a": 0.6, "b": 0.2, "new": 0.2})
    batches = Batches(mixed(OLD, NEW, 0.2), Augmentation(crop=32, diameter=12), 1, 0)
    drawn = Counter(name for step in range(400) for name in batches.names(step))
    assert 50 < drawn["new"] < 110


@pytest.mark.parametrize("share", [0.0, 1.0, -0.3])
def test_a_share_is_a_part(share: float) -> None:
    with pytest.raises(SettingsError, match="share"):
        mixed(OLD, NEW, share)
