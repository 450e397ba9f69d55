"""The best one-to-one matching of sparse pairs, solved exactly: almost every group of competing pairs is one pair."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from bigcell.core.volume import Array

DENSE = 1 << 20
"""Entries that a group's table of gains may have; larger groups are solved sparse (Crouse 2016, Jonker-Volgenant)."""


def assign(a: Array, b: Array, iou: Array, *, threshold: float) -> Array:
    """Which of the pairs (a, b) to take, ascending: each a and each b at most once; as many as can be with an IoU of at
    least `threshold`, and of such choices the one with the largest sum of IoU. `a`, `b`: small integers from 0.

    >>> assign(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0.6, 0.23, 0.23]), threshold=0.2).tolist()
    [1, 2]
    """
    if len(iou) == 0:
        return np.empty(0, np.int64)
    alone = (np.bincount(a)[a] == 1) & (np.bincount(b)[b] == 1)
    rest = np.flatnonzero(~alone)
    taken = [np.flatnonzero(alone)]
    for group in _groups(a[rest], b[rest]):
        rows = rest[group]
        taken.append(rows[_solved(a[rows], b[rows], iou[rows], threshold)])
    return np.sort(np.concatenate(taken))


def _groups(a: Array, b: Array) -> Iterator[Array]:
    """Positions of the pairs that compete with one another, directly or through others, group by group."""
    if len(a) == 0:
        return
    a, b = (np.unique(side, return_inverse=True)[1] for side in (a, b))
    nodes = a.max() + 1 + b.max() + 1
    links = coo_array((np.ones(len(a), np.int8), (a, a.max() + 1 + b)), (nodes, nodes))
    group = connected_components(links, directed=False)[1][a]
    order = np.argsort(group, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _solved(a: Array, b: Array, iou: Array, threshold: float) -> Array:
    """As `assign`, for one group."""
    rows, i = np.unique(a, return_inverse=True)
    columns, j = np.unique(b, return_inverse=True)
    most = min(len(rows), len(columns))
    gain = np.where(iou >= threshold, most + 1.0, 0.0) + iou  # one pair more is worth more than any sum of IoU
    if len(rows) * len(columns) <= DENSE:
        return _dense(i, j, gain)
    return _sparse(i, j, gain)


def _dense(i: Array, j: Array, gain: Array) -> Array:
    shape = (i.max() + 1, j.max() + 1)
    table, pair = np.zeros(shape), np.full(shape, -1)
    table[i, j], pair[i, j] = gain, np.arange(len(gain))
    taken = pair[linear_sum_assignment(table, maximize=True)]
    return np.asarray(taken[taken >= 0])


def _sparse(i: Array, j: Array, gain: Array) -> Array:
    """Every row may also take a column of its own that gains nothing, so that a full matching is there."""
    rows, columns = int(i.max()) + 1, int(j.max()) + 1
    none = gain.max() + 1.0
    cost = np.concatenate([none - gain, np.full(rows, none)])
    own = np.arange(rows)
    graph = csr_array((cost, (np.concatenate([i, own]), np.concatenate([j, columns + own]))), (rows, columns + rows))
    row, column = min_weight_full_bipartite_matching(graph)
    wanted = np.full(rows, -1)
    wanted[row] = column
    return np.flatnonzero(wanted[i] == j)
