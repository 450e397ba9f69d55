"""Seams: labels that were cut at faces are told from labels that were not."""

from __future__ import annotations

import numpy as np
import pytest

from bigcell.stitch.audit import REACH, Audit, changes, judge

OFFSETS = np.arange(-REACH, REACH + 1)


def test_every_plane_is_counted() -> None:
    labels = np.zeros((4, 2, 5), int)
    labels[2:] = 1
    labels[:, :, 3:] *= 2
    assert changes(labels, 0).tolist() == [0, 1, 0]
    assert changes(labels, 1).tolist() == [0]
    assert changes(labels, 2).tolist() == [0, 0, 0.5, 0]


def even(seed: int, faces: int = 24) -> np.ndarray:
    """Shares that vary from place to place as those of real labels do, and a little from plane to plane."""
    random = np.random.default_rng(seed)
    return random.uniform(0.02, 0.2, (faces, 1)) * random.normal(1, 0.1, (faces, len(OFFSETS)))


@pytest.mark.parametrize("seed", range(20))
def test_labels_without_traces_pass(seed: int) -> None:
    audit = judge(even(seed), OFFSETS)
    assert audit.is_clean
    assert audit.ratio == pytest.approx(1, abs=0.1)
    assert audit.faces == 24


@pytest.mark.parametrize("seed", range(20))
def test_half_again_as_many_changes_at_faces_are_seen(seed: int) -> None:
    found = even(seed)
    found[:, OFFSETS == 0] *= 1.6
    audit = judge(found, OFFSETS)
    assert not audit.is_clean
    assert audit.ratio == pytest.approx(1.6, abs=0.15)


def test_planes_that_are_faces_themselves_are_left_out() -> None:
    found = even(0)
    found[:, np.abs(OFFSETS) % 2 == 0] = 9.0
    found[:, (np.abs(OFFSETS) % 2 == 0) & (OFFSETS != 0)] = np.nan
    found[:, OFFSETS == 0] = 0.1
    audit = judge(found, OFFSETS)
    assert audit.offsets == (-3, -1, 0, 1, 3)
    assert max(audit.shares) < 0.3


def test_one_face_has_an_error_too() -> None:
    assert judge(even(3, faces=1), OFFSETS).error > 0


def test_changes_at_faces_alone() -> None:
    found = np.zeros((2, len(OFFSETS)))
    assert judge(found, OFFSETS) == Audit(2, tuple(OFFSETS), (0.0,) * 9, 1.0, 0.0)
    found[:, OFFSETS == 0] = 0.5
    assert not judge(found, OFFSETS).is_clean
