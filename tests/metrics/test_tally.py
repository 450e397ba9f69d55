"""Everything that is counted adds up over blocks, in any order, and cells lie where they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.metrics import tally as module
from bigcell.metrics.boundary import Ball, halo
from bigcell.metrics.tally import Sum, Tally, tally

RandomPair = Callable[..., tuple[Array, Array]]
BALL = Ball(1.5, (2.0, 1.0, 1.0))


def same(a: Tally, b: Tally) -> bool:
    columns = [("overlaps", n) for n in ("truth", "found", "voxels")]
    columns += [(side, n) for side in ("truth", "found") for n in ("ids", "voxels", "sums")]
    alike = (np.array_equal(getattr(getattr(a, of), n), getattr(getattr(b, of), n)) for of, n in columns)
    return all(alike) and a.boundary == b.boundary


@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 8)),
    st.randoms(use_true_random=False),
    st.sampled_from([0, 10, 10**6]),
)
@settings(max_examples=40)
def test_blocks_add_up_to_the_whole(
    random_pair: RandomPair, seed: int, block: tuple[int, int, int], shuffler: object, few: int
) -> None:
    truth, found = random_pair(seed)
    cores = list(Box.of(truth.shape).split(block))
    shuffler.shuffle(cores)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", few)
        added = Sum()
        for core in cores:
            read = core.grow(halo(BALL)) & Box.of(truth.shape)
            part = tally(truth[read.slices], found[read.slices], BALL, core=core.relative_to(read), corner=read.start)
            added.add(part)
        assert same(added.total(), tally(truth, found, BALL))


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_centres_are_mean_indices(random_pair: RandomPair, seed: int) -> None:
    truth, found = random_pair(seed)
    counted = tally(truth, found, BALL, corner=(10, 20, 30))
    for labels, side in ((truth, counted.truth), (found, counted.found)):
        assert side.ids.tolist() == [i for i in np.unique(labels).tolist() if i]
        for id, voxels, centre in zip(side.ids, side.voxels, side.centres, strict=True):
            assert voxels == (labels == id).sum()
            assert centre == pytest.approx(np.argwhere(labels == id).mean(0) + np.array([10, 20, 30]))


def test_large_ids_and_no_cells() -> None:
    big = np.array([[[2**63 + 3, 0, 2**63 + 3]]], np.uint64)
    counted = tally(big, np.zeros_like(big), BALL)
    assert counted.truth.ids.tolist() == [2**63 + 3]
    assert counted.truth.centres.tolist() == [[0, 0, 1]]
    assert len(counted.found.ids) == 0
