"""Steps that link the objects of planes to objects of the stack: overlaps block by block, then chains, layer by layer.

An object of a plane is named by its sink, and a linked one by that of its first plane. A layer of blocks is linked when
the one before it has been: what is carried on is the objects of its last plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.lookup import Lookup
from bigcell.core.volume import Array
from bigcell.engine.planning.memory_cost import PLANES_PER_READ
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.label_windows import NamedLabels, Tables
from bigcell.engine.tasks.objects import load_pieces, save_pieces
from bigcell.stitch.pieces import Pieces, owners
from bigcell.stitch.planes import Pairs, continues, overlap_counts

Patches = tuple[tuple[int, tuple[str, ...]], ...]
"""Blocks, each with the entries that hold voxels of holes in it."""


def overlap(job: Job, item: tuple[int, Patches]) -> dict[str, Any]:
    """How many voxels each two objects of neighbouring planes share, for the planes of a block and the next one."""
    block, patches = item
    core, tables = job.grid.core(block), Tables(job)
    found: list[Pairs] = []
    for slab in core.split((PLANES_PER_READ, *core.shape[1:])):
        names, values = _final_labels(tables, slab.grow((1, 0, 0)) & Box(slab.start, job.whole.stop), patches)
        for lower, upper in pairwise(values):
            a, b, n = overlap_counts(lower, upper)
            found.append((names[a - 1], names[b - 1], n))
    a, b, n = _joined(found)
    job.scratch.save(f"overlaps/{block}", {"a": a, "b": b, "n": n})
    return {"pairs": len(n)}


def _final_labels(tables: Tables, box: Box, patches: Patches) -> tuple[Array, Array]:
    """Objects that stay, holes filled: their names, and (z, y, x) where `i` stands for ``names[i - 1]``."""
    job = tables.job
    labels = NamedLabels.read(tables, box)
    values = np.where(labels.kept(tables, job.plan.sound)[labels.values], labels.values, 0)
    names = labels.names
    for block, entries in patches:
        core = job.grid.core(block)
        for entry in entries:
            held = job.scratch.load(f"patches/{entry}")
            place = np.stack(np.unravel_index(held["at"], core.shape), 1) + np.array(core.start)
            inside = ((place >= box.start) & (place < box.stop)).all(1)
            new, number = np.unique(held["name"][inside], return_inverse=True)
            values[tuple((place[inside] - np.array(box.start)).T)] = number + 1 + len(names)
            names = np.concatenate([names, new])
    return _distinct(names, values)


def _distinct(names: Array, values: Array) -> tuple[Array, Array]:
    """The same with every name once."""
    once, number = np.unique(names, return_inverse=True)
    return once, np.append(0, number + 1)[values]


def link(job: Job, item: tuple[int, Sequence[int], Sequence[int]]) -> dict[str, Any]:
    """The linked object that each object of a layer of blocks belongs to, and what the layer adds to each of those.

    `item`: the layer, its blocks, and those that pairs were counted in.
    """
    layer, blocks, counted = item
    objects = Pieces.sum([load_pieces(job, f"{job.plan.final}/{k}") for k in blocks])
    shared = _joined([_load_pairs(job, k) for k in counted])
    below = job.scratch.load(f"chains/{layer - 1}") if layer else None
    roots = _roots(objects, shared, below, job.plan.settings.stitch_threshold)
    _carry_on(job, layer, objects, roots, shared)
    belong = owners(objects.name, job.grid)
    for k in blocks:
        mine = belong == k
        job.scratch.save(f"roots/{k}", {"name": objects.name[mine], "root": roots[mine]})
    added = Pieces.sum([replace(objects, name=roots)])
    depth = job.grid.shape[0]
    home = np.unravel_index(added.name - 1, job.grid.extent)[0] // depth
    for first in np.unique(home):
        save_pieces(job, f"linked/{first}-{layer}", added.take(home == first))
    return {"objects": len(objects), "layers": np.unique(home).tolist()}


def _roots(objects: Pieces, shared: Pairs, below: dict[str, Array] | None, threshold: float) -> Array:
    """The name of the linked object of each object, plane after plane; `below` is what the layer before carried on."""
    roots = objects.name.copy()
    a, b, n = shared
    pairs = _joined([shared, (below["a"], below["b"], below["n"])]) if below else (a, b, n)
    planes, first = np.unique(objects.low[:, 0], return_index=True)
    ends = np.append(first, len(objects))[1:]
    order = np.argsort(pairs[1], kind="stable")  # by the upper object, so that a plane's pairs lie together
    pairs = (pairs[0][order], pairs[1][order], pairs[2][order])
    last, lower, chain = -1, Lookup.join([]), Lookup.join([])
    if below:
        last, lower = int(below["plane"]), Lookup(below["name"], below["voxels"])
        chain = Lookup(below["name"], below["root"])
    for z, start, stop in zip(planes, first, ends, strict=True):
        here = slice(start, stop)
        upper = Lookup(objects.name[here], objects.voxels[here])
        if z == last + 1 and len(lower.key):
            i, j = np.searchsorted(pairs[1], [upper.key[0], upper.key[-1] + 1])
            root = chain.of(continues(lower, upper, (pairs[0][i:j], pairs[1][i:j], pairs[2][i:j]), threshold))
            roots[here] = np.where(root > 0, root, upper.key)
        last, lower, chain = int(z), upper, Lookup(upper.key, roots[here])
    return roots


def _carry_on(job: Job, layer: int, objects: Pieces, roots: Array, shared: Pairs) -> None:
    """Leave the objects of the layer's last plane, and what they share with the next one's, to the next layer."""
    plane = min((layer + 1) * job.grid.shape[0], job.plan.extent[0]) - 1
    here = objects.low[:, 0] == plane
    names = objects.name[here]
    on = np.isin(shared[0], names)
    held = {"name": names, "voxels": objects.voxels[here], "root": roots[here], "plane": np.array(plane)}
    job.scratch.save(f"chains/{layer}", {**held, "a": shared[0][on], "b": shared[1][on], "n": shared[2][on]})


def _load_pairs(job: Job, block: int) -> Pairs:
    held = job.scratch.load(f"overlaps/{block}")
    return held["a"], held["b"], held["n"]


def _joined(parts: list[Pairs]) -> Pairs:
    """Counts of the same pair added up, by ascending pair."""
    a, b, n = (np.concatenate([np.zeros(0, np.int64), *(p[i] for p in parts)]) for i in range(3))
    order = np.lexsort((b, a))
    a, b, n = a[order], b[order], n[order]
    new = np.ones(len(a), bool)
    new[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return a[new], b[new], np.add.reduceat(n, np.flatnonzero(new)) if len(n) else n
