"""Flows from labels: unit vectors, each cell alone, and the way leads to the centre."""

from __future__ import annotations

from itertools import product

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Array
from bigcell.flows import heat_diffusion
from bigcell.flows.from_labels import flows_from_labels, plane_flows, unit_flows


def ellipsoids(seed: int, extent: tuple[int, int, int] = (20, 28, 30)) -> Array:
    """Some convex cells, cut against one another by planes (so still convex), touching."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.indices(extent), -1) * np.ones(3)
    centres = rng.uniform(0, extent, (9, 3))
    distance = np.stack([np.square(places - c).sum(-1) for c in centres])
    near = distance.argmin(0)
    return np.where(distance.min(0) < 9**2, near + 1, 0).astype(np.uint32)


def lengths(flows: Array) -> Array:
    return np.sqrt(np.square(flows.astype(np.float64)).sum(0))


def centre_of(cell: Array) -> Array:
    voxels = np.argwhere(cell)
    return voxels[np.square(voxels - voxels.mean(0)).sum(1).argmin()]


@pytest.mark.parametrize("seed", range(4))
def test_vectors_are_unit_in_cells_and_zero_elsewhere(seed: int) -> None:
    labels = ellipsoids(seed)
    size = lengths(unit_flows(labels))
    at_centre = np.zeros(labels.shape, bool)
    for name in np.unique(labels[labels > 0]):
        at_centre[tuple(centre_of(labels == name))] = True
    assert np.allclose(size[(labels > 0) & ~at_centre], 1, atol=1e-5)
    assert not size[(labels == 0) | at_centre].any()


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_change_nothing(seed: int) -> None:
    labels = ellipsoids(seed)
    flows = unit_flows(labels)
    for name in np.unique(labels[labels > 0]):
        alone = unit_flows(np.where(labels == name, labels, 0))
        assert np.array_equal(np.where(labels == name, flows, 0), alone)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("extent", [(20, 28, 30), (1, 40, 40)])
def test_following_the_flow_ends_near_the_centre(seed: int, extent: tuple[int, int, int]) -> None:
    labels = ellipsoids(seed, extent)
    flows = unit_flows(labels)
    for name in np.unique(labels[labels > 0]):
        cell = labels == name
        at = np.argwhere(cell).astype(float)
        for _ in range(60):
            nearest = np.clip(np.round(at).astype(int), 0, np.array(extent) - 1)
            at = at + flows[:, *nearest.T].T * cell[tuple(nearest.T)][:, None]
        assert np.sqrt(np.square(at - centre_of(cell)).sum(1)).max() <= 2.5


def test_a_plane_has_no_flow_along_z_and_equals_the_plane_flow() -> None:
    labels = ellipsoids(0, (1, 40, 40))
    flows = unit_flows(labels)
    assert not flows[0].any()
    assert flows[1:].any()
    assert np.array_equal(flows, plane_flows(labels, 0))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_flow_each_on_its_own(axis: int) -> None:
    labels = ellipsoids(1)
    flows = plane_flows(labels, axis)
    assert not flows[axis].any()
    i = labels.shape[axis] // 2
    turned = np.moveaxis(labels, axis, 0)[i : i + 1]
    others = [a for a in range(3) if a != axis]
    expected = unit_flows(turned)[1:, 0]
    assert np.array_equal(flows[others].take(i, axis + 1), expected)


def test_turning_the_axes_turns_the_flow() -> None:
    labels = ellipsoids(2)
    flows = unit_flows(labels)
    turned = unit_flows(np.ascontiguousarray(labels.transpose(2, 0, 1)))
    back = turned.transpose(0, 2, 3, 1)[[1, 2, 0]]
    close = np.abs(back - flows).max(0) < 1e-4
    assert close[labels > 0].mean() > 0.97  # another centre may be chosen where two are as near


def test_a_bent_cell_is_followed_round_the_bend() -> None:
    labels = np.zeros((1, 30, 30), np.int32)
    labels[0, 2:28, 2:7] = labels[0, 2:7, 2:28] = labels[0, 23:28, 2:28] = 1  # a C, its centroid in the hollow
    flows = unit_flows(labels)
    at = np.array([25.0, 26.0])  # the lower end
    for _ in range(80):
        y, x = np.round(at).astype(int)
        assert labels[0, y, x] == 1, "the way leaves the cell"
        at = at + flows[1:, 0, y, x]
    assert np.abs(at - (14, 6)).max() < 3  # the middle of the back, on the side of the hollow


def test_a_piece_out_of_reach_points_straight_at_the_centre() -> None:
    labels = np.zeros((1, 9, 30), np.int16)
    labels[0, 2:7, 2:9] = 7
    labels[0, 4, 25] = 7
    flows = unit_flows(labels)
    assert flows[:, 0, 4, 25] == pytest.approx((0, 0, -1))


def test_long_thin_cells_keep_their_direction() -> None:
    labels = np.zeros((1, 5, 900), np.int32)
    labels[0, 1:4, 5:895] = 3
    flows = unit_flows(labels)[2, 0, 2]
    assert np.allclose(flows[5:440], 1, atol=1e-3)
    assert np.allclose(flows[460:895], -1, atol=1e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_any_labels_give_finite_unit_vectors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    extent = tuple(rng.integers(1, 9, 3))
    labels = rng.integers(0, 4, extent).astype(rng.choice([np.uint8, np.int32, np.uint64]))
    labels = labels * labels.dtype.type(rng.choice([1, 50]))
    size = lengths(unit_flows(labels))
    assert np.all((np.abs(size - 1) < 1e-5) | (size == 0))
    cells = len(np.unique(labels[labels > 0]))
    assert (size[labels > 0] == 0).sum() == cells  # only at each centre


def test_no_cells_no_flow() -> None:
    assert not unit_flows(np.zeros((2, 5, 5), np.uint32)).any()


@pytest.mark.parametrize("extent", [(40, 40), (1, 40, 40), (20, 28, 30)])
def test_public_flows_are_five_times_unit_length_along_the_axes_of_the_labels(extent: tuple[int, ...]) -> None:
    stack = ellipsoids(3, (1, *extent) if len(extent) == 2 else extent)  # type: ignore[arg-type]
    flows = flows_from_labels(stack.reshape(extent))
    assert flows.shape == (len(extent), *extent)
    assert flows.dtype == np.float32
    assert np.allclose(flows.reshape(-1, *stack.shape), 5 * unit_flows(stack)[-len(extent) :], atol=1e-5)


def winding(extent: tuple[int, int]) -> Array:
    """One cell, a pixel wide, that winds through a plane, and a wide one with a hole."""
    labels = np.zeros(extent, np.int32)
    labels[::4] = 1
    labels[1:4, -1] = labels[5:8, 0] = labels[9:12, -1] = labels[13:16, 0] = 1
    labels[17:] = 0
    labels[20:40, 5:40] = 2
    labels[27:30, 20:30] = 0
    return labels


@pytest.mark.parametrize("labels", [ellipsoids(5), winding((41, 45))[None]], ids=["cells", "winding"])
@pytest.mark.parametrize("gradient", ["own", "cellpose3", "cellpose4"])
def test_voxel_by_voxel_gives_the_bits_of_the_flat_line(
    labels: Array, gradient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in np.unique(labels[labels > 0]):
        cell = heat_diffusion.survey((labels == name).astype(np.int32))[1]
        planar = labels.shape[0] == 1
        rule = (planar and gradient != "own", gradient == "cellpose4", gradient == "own")
        both = _both_ways(np.where(labels == name, 1, 0).astype(np.int32), cell, rule)
        for dense, sparse in zip(*both, strict=True):
            assert np.array_equal(dense, sparse)


def _both_ways(labels: Array, row: Array, rule: tuple[bool, bool, bool]) -> list[tuple[Array, Array]]:
    """Heat and rise of the only cell of `labels`, over its whole box and over its voxels."""
    place = np.argwhere(labels)
    kind = 9 if rule[0] else 5 if labels.shape[0] == 1 else 7
    sy = labels.shape[2] + 2
    sz = sy * (labels.shape[1] + 2)
    flat = (place + np.array([kind == 7, 1, 1])) @ np.array([sz, sy, 1])
    weight = np.zeros(sz * (labels.shape[0] + 2 if kind == 7 else 1))
    dense = heat_diffusion._dense(flat, len(flat) // 2, 90, (sz, sy), kind, rule[2], weight)
    return [dense, heat_diffusion._sparse(flat, len(flat) // 2, 90, (sz, sy), kind, rule[2])]


@pytest.mark.parametrize("seed", range(3))
def test_small_floats_do_for_small_cells(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ellipsoids(seed)
    dense = labels.astype(np.int32)
    table = heat_diffusion.survey(dense)
    for name in np.flatnonzero(table[:, 9])[1:]:
        place, centre, _, rise = heat_diffusion.heated(dense, name, 60, table[name], (False, False, True))
        shape = table[name, 3:6] - table[name, :3] + 2
        strides = (int(shape[1] * shape[2]), int(shape[2]))
        flat = (place + 1) @ np.array([*strides, 1])
        exact = heat_diffusion._dense(flat, centre, 60, strides, 7, True, np.zeros(int(shape.prod())))[1]
        cosine = (rise * exact).sum(1) / np.maximum(np.sqrt((rise**2).sum(1) * (exact**2).sum(1)), 1e-300)
        away = np.arange(len(place)) != centre
        assert cosine[away].min() > np.cos(np.radians(0.1))


@pytest.mark.parametrize("extent", [(41, 45), (17, 20)])
def test_a_faint_winding_cell_is_done_in_large_floats(extent: tuple[int, int]) -> None:
    labels = winding(extent)
    flows = unit_flows(labels[None])[1:, 0]
    at = np.argwhere(labels == 1)[0].astype(float)  # an end of a path of over 100 pixels
    for _ in range(150):
        y, x = np.round(at).astype(int)
        assert labels[y, x] == 1, "the way leaves the cell"
        at = at + flows[:, y, x]
    assert np.abs(at - centre_of(labels == 1)).max() <= 2


def reference_flows(labels: Array, *, across: bool) -> Array:
    """Cellpose's diffusion, plainly: every voxel the mean of the nine (seven in 3-D) about it that are of its cell."""
    d = labels.ndim
    padded = np.pad(labels.astype(int), 1)
    names = [int(n) for n in np.unique(labels) if n]
    inside = padded > 0
    about = [s for s in product((-1, 0, 1), repeat=d) if d == 2 or np.abs(s).sum() < 2]
    same = [(np.roll(padded, s, range(d)) == padded) & inside for s in about]
    out = np.zeros((d, *padded.shape))
    for cell in [names] if across else [[n] for n in names]:
        here, warm = np.isin(padded, cell), np.zeros(padded.shape)
        centres, steps = [], 0
        for n in cell:
            places = np.argwhere(padded == n)
            mean, corner, extents = places.mean(0), places.min(0), np.ptp(places, axis=0) + 1
            mean = np.rint(mean - corner) + corner if across and d == 2 else mean
            centres.append(places[np.square(places - mean).sum(1).argmin()])
            own = 6 * (extents.sum() + 3) if d == 3 else 2 * (extents.sum() + (2 if across else 4))
            steps = max(steps, own)
        for _ in range(steps):
            for c in centres:
                warm[tuple(c)] += 1
            warm = sum(np.roll(warm, s, range(d)) * k for s, k in zip(about, same, strict=True)) / len(about) * here
        rise = np.stack([np.roll(warm, -1, axis) - np.roll(warm, 1, axis) for axis in range(d)])
        out += here * rise / (1e-60 + np.sqrt(np.square(rise).sum(0)))
    return out[(slice(None), *(slice(1, -1),) * d)]


@pytest.mark.parametrize("gradient", ["cellpose3", "cellpose4"])
@pytest.mark.parametrize(("seed", "extent"), [(0, (1, 40, 44)), (1, (1, 40, 44)), (2, (12, 16, 17))])
def test_the_rules_of_cellpose_are_its_own(seed: int, extent: tuple[int, int, int], gradient: str) -> None:
    labels = np.squeeze(ellipsoids(seed, extent))
    flows = flows_from_labels(labels, gradient=gradient) / 5  # type: ignore[arg-type]
    expected = reference_flows(labels, across=gradient == "cellpose4" or labels.ndim == 3)
    cosine = (flows * expected).sum(0)[labels > 0]
    assert np.mean(cosine > np.cos(np.radians(0.1))) > 0.995  # at a centre the heat is level, and rounding decides


def test_ids_far_apart_and_in_any_order_give_the_same() -> None:
    labels = ellipsoids(1)
    far = np.where(labels > 0, np.uint64(2**62) - labels.astype(np.uint64) * np.uint64(10**9), np.uint64(0))
    assert np.array_equal(unit_flows(far), unit_flows(labels))


def test_one_thread_or_many_give_the_same() -> None:
    labels = ellipsoids(1)
    flows = unit_flows(labels)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert np.array_equal(unit_flows(labels), flows)
    finally:
        numba.set_num_threads(before)


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(z, y, x\)"):
        unit_flows(np.zeros((5, 5), np.int32))
    with pytest.raises(InputError, match="float64"):
        plane_flows(np.zeros((5, 5, 5)), 0)
    with pytest.raises(InputError, match=r"\(y, x\)"):
        flows_from_labels(np.zeros(5, np.int32))
    with pytest.raises(InputError, match="-2"):
        flows_from_labels(np.full((5, 5), -2))
    with pytest.raises(SettingsError, match="cellpose3"):
        flows_from_labels(np.zeros((5, 5), int), gradient="cellpose")  # type: ignore[arg-type]
