"""Masks of arrays in memory: equal to the plain definition, whatever the settings, and to planes on their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_fill_holes

import bigcell
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.dynamics import masks
from bigcell.dynamics.masks import MaskSettings, clean_labels, masks_from_flows
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.dynamics.window import integer_flows, label_window
from bigcell.flows.compare import flow_error
from bigcell.stitch.clean import CleanSettings, claims
from bigcell.stitch.number import SizeSettings
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]


def plain(flows: np.ndarray, kind: MaskSettings) -> np.ndarray:
    """The definition: one window, misfits and small objects go, holes are claimed plane by plane, 1..n."""
    extent = flows.shape[1:]
    whole = integer_flows(flows)
    named = label_window(whole, Box.of(extent), extent, kind.dynamics)
    flat = extent[0] == 1 or kind.dynamics.planar
    threshold = kind.clean.flow_threshold if flat else kind.clean.flow_threshold_3d
    kept = np.zeros(extent, np.int64)
    for name in np.unique(named[named > 0]):
        own = named == name
        n = np.count_nonzero(own)
        fits = n >= kind.sizes.min_size and (not kind.sizes.max_size or n <= kind.sizes.max_size)
        at = np.argwhere(own)
        cut = not flat and (at.min(0) == 0).any() | (at.max(0) == np.array(extent) - 1).any()
        if fits and (not threshold or cut or flow_error(own, whole[:3]) <= threshold):
            kept[own] = kept.max() + 1
    filled = kept.copy()
    for z, plane in enumerate(kept if kind.clean.fill_holes else []):
        for name in np.unique(plane[plane > 0]):
            own = plane == name
            filled[z][claims(plane, int(name), binary_fill_holes(own) & ~own)] = name
    return filled


flat = st.tuples(st.just(1), st.integers(20, 60), st.integers(20, 60))
solid = st.tuples(st.integers(3, 14), st.integers(12, 32), st.integers(12, 32))


@settings(max_examples=40)
@given(
    extent=st.one_of(flat, solid),
    planar=st.booleans(),
    sampling=st.sampled_from(["centre", "cellpose"]),
    noise=st.sampled_from([0.0, 0.6, 1.6]),
    thresholds=st.tuples(st.sampled_from([0.0, 0.4]), st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 2.0])),
    sizes=st.sampled_from([(0, 0), (15, 0), (9, 70)]),
    seed=st.integers(0, 1000),
)
def test_equal_to_the_plain_definition(
    extent: Zyx, planar: bool, sampling: Any, noise: float, thresholds: Any, sizes: Any, seed: int
) -> None:
    flows = FlowLattice(extent, diameter=9, noise=noise, seed=seed, fill=0.7).read(Box.of(extent))
    rng = np.random.default_rng(seed)
    flows[3][rng.random(extent) < 0.05] = -3  # pinholes
    d2, d3, prob = thresholds
    two = planar or extent[0] == 1
    found = masks_from_flows(
        flows[1:3] if two else flows[:3],
        flows[3],
        cellprob_threshold=prob,
        flow_threshold=d2,
        flow_threshold_3d=d3,
        min_size=sizes[0],
        max_size=sizes[1],
        fill_holes=seed % 3 > 0,
        sampling=sampling,
    )
    kind = MaskSettings(
        DynamicsSettings(prob, sampling=sampling, planar=two), SizeSettings(*sizes), CleanSettings(seed % 3 > 0, d2, d3)
    )
    assert found.dtype == np.uint32
    assert np.array_equal(found, plain(flows, kind))


def test_planes_of_a_stack_are_each_on_their_own() -> None:
    flows = FlowLattice((6, 50, 60), diameter=10, noise=0.8).read(Box.of((6, 50, 60)))
    stack = masks_from_flows(flows[1:3], flows[3])
    before = 0
    for z in range(6):
        alone = masks_from_flows(flows[1:3, z], flows[3, z])
        assert np.array_equal(np.where(alone > 0, alone + before, 0), stack[z])
        before += int(alone.max())
    assert before > 10


@pytest.mark.parametrize("extent", [(1, 60, 70), (20, 40, 40)])
@pytest.mark.parametrize("threshold", [0.0, 0.9])
def test_equal_to_what_the_engine_gives(extent: Zyx, threshold: float) -> None:
    flows = FlowLattice(extent, diameter=10, noise=0.9).read(Box.of(extent))
    flows[3][np.random.default_rng(0).random(extent) < 0.05] = -3
    given = flows if extent[0] > 1 else flows[1:, 0]
    found = bigcell.masks_from_flows(given[:-1], given[-1], flow_threshold=threshold, flow_threshold_3d=threshold)
    assert found.max() > 5
    segmented = bigcell.segment(flows=given, flow_threshold=threshold, flow_threshold_3d=threshold)
    assert np.array_equal(found, segmented.labels)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_and_views_do_as_well(dtype: type) -> None:
    flows = FlowLattice((40, 44, 1), diameter=10).read(Box.of((40, 44, 1))).astype(dtype)
    turned = flows[[0, 1, 3]][..., 0]
    found = masks_from_flows(turned[:2], turned[2])
    assert np.array_equal(found, masks_from_flows(turned[:2].astype(np.float32), turned[2].astype(np.float32)))
    assert found.max() > 3


def test_nothing_above_the_threshold() -> None:
    found = masks_from_flows(np.zeros((3, 4, 9, 9)), np.full((4, 9, 9), -1.0))
    assert found.shape == (4, 9, 9)
    assert not found.any()


def test_one_cell_fills_all() -> None:
    """Cellpose's share of the image (0.4) would drop it; `max_size` is in voxels."""
    away = np.indices((40, 40)) - 19.5
    flows = -5 * away / np.sqrt((away**2).sum(0))
    assert (masks_from_flows(flows, np.ones((40, 40))) == 1).all()
    assert not masks_from_flows(flows, np.ones((40, 40)), max_size=1599).any()


def test_one_pixel_wide_and_at_the_border() -> None:
    flows, cellprob = np.zeros((2, 12, 40)), np.full((12, 40), -1.0)
    cellprob[0, :31], cellprob[4:, 39] = 1, 1
    flows[1, 0, :31] = 5 * np.sign(15 - np.arange(31))
    flows[0, 4:, 39] = 5 * np.sign(8 - np.arange(4, 12))
    found = masks_from_flows(flows, cellprob, min_size=5)
    assert (found[0, :31] == 1).all()
    assert not found[4:, 39].any()  # eight pixels end in one, and a sink needs more than ten
    flows, cellprob = np.zeros((2, 20, 20)), np.full((20, 20), -1.0)
    cellprob[15:, 14:] = 1
    flows[:, 15:, 14:] = 5  # a cell whose centre lies beyond the corner
    assert (masks_from_flows(flows, cellprob, flow_threshold=0)[15:, 14:] == 1).all()


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: masks_from_flows(np.zeros((4, 5, 6, 7)), np.zeros((5, 6, 7))), InputError, r"wanted \(2, y, x\)"),
    (lambda: masks_from_flows(np.zeros((3, 6, 7)), np.zeros((6, 7))), InputError, "found flows of shape"),
    (lambda: masks_from_flows(np.zeros((2, 6, 7)), np.zeros((7, 6))), InputError, "found flows of shape"),
    (lambda: masks_from_flows(np.zeros((2, 0, 7)), np.zeros((0, 7))), InputError, "found flows of shape"),
    (lambda: masks_from_flows(np.zeros((2, 6, 7), int), np.zeros((6, 7))), InputError, "wanted floats"),
    (lambda: masks_from_flows(np.zeros((2, 6, 7)), np.zeros((6, 7)), niter=0), SettingsError, "niter 0"),
    (lambda: masks_from_flows(np.zeros((2, 6, 7)), np.zeros((6, 7)), sampling="nearest"), SettingsError, "sampling"),  # type: ignore[arg-type]
    (lambda: masks_from_flows(np.zeros((2, 6, 7)), np.zeros((6, 7)), min_size=-1), SettingsError, "min_size -1"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_what_cannot_be_used_is_refused(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_voxel_that_is_not_finite_is_named(bad: float) -> None:
    flows, cellprob = np.zeros((3, 4, 9, 9)), np.zeros((4, 9, 9))
    flows[1, 2, 3, 4] = bad
    with pytest.raises(InputError, match=r"the flow at \(z, y, x\) = \(2, 3, 4\)"):
        masks_from_flows(flows, cellprob)
    flows[1, 2, 3, 4], cellprob[1, 5, 6] = 0, bad
    with pytest.raises(InputError, match=r"the cell probability at \(z, y, x\) = \(1, 5, 6\)"):
        masks_from_flows(flows, cellprob)


def test_objects_beyond_the_limit_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((1, 20, 60), np.uint32)
    for i, side in enumerate((8, 16)):  # squares with a hole, whose flow of 0 is not what they ought to have
        labels[0, 1 : 1 + side, 30 * i : 30 * i + side] = i + 1
        labels[0, 4, 30 * i + 3] = 0
    flow = np.zeros((3, 1, 20, 60), np.int16)
    monkeypatch.setattr(masks, "CLEAN_LIMIT", 100)
    found = clean_labels(labels.copy(), flow, MaskSettings())
    assert np.unique(found).tolist() == [0, 1]
    assert np.count_nonzero(found) == 16 * 16 - 1
    found = clean_labels(labels.copy(), flow, MaskSettings(clean=CleanSettings(flow_threshold=0)))
    assert np.bincount(found.ravel())[1:].tolist() == [8 * 8, 16 * 16 - 1]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([(1, 40, 44), (4, 20, 26)]))
def test_rings_in_rings_are_filled_by_the_definition(seed: int, extent: Zyx) -> None:
    """Holes that hold other objects, rings, dust and free voxels: all are decided before any is filled."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(extent, np.uint32)
    y, x = np.indices(extent[1:])
    for name in range(1, 13):
        r2 = (y - rng.integers(0, extent[1])) ** 2 + (x - rng.integers(0, extent[2])) ** 2
        outer = rng.uniform(2, 16)
        labels[:, (r2 <= outer**2) & (r2 >= (outer * rng.choice([0.0, 0.6, 0.8])) ** 2)] = name
    dust = rng.random(extent) < 0.05
    labels[dust] = rng.integers(0, 13, int(dust.sum()))
    kept = np.unique(labels, return_inverse=True)[1].reshape(extent).astype(np.uint32)
    kept += 0 if (labels == 0).any() else 1
    wanted = kept.copy()
    for z, plane in enumerate(kept):
        for name in np.unique(plane[plane > 0]):
            own = plane == name
            wanted[z][claims(plane, int(name), binary_fill_holes(own) & ~own)] = name
    kind = MaskSettings(sizes=SizeSettings(0), clean=CleanSettings(flow_threshold=0))
    found = clean_labels(labels.copy(), np.zeros((3, *extent), np.int16), kind)
    assert np.array_equal(found, wanted)
