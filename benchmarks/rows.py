"""The rows of ./scripts/bench: the work, on which data, against whom, what is wanted, what is asked of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bigcell.metrics.matching import Overlaps, compare, overlaps

Answer = Mapping[str, np.ndarray]
Judge = Callable[[Answer, Answer, Answer], str]
"""(truth, ours, theirs) -> what is to be said of the answers."""


@dataclass(frozen=True)
class Row:
    """`ours` and `theirs`: names of works. `peers`: the release (3 or 4) and how many times faster we want to be.
    `memory`: the share of their peak memory that ours may have. `bound`: what limits the work: "copy", "float32" or
    "bfloat16". `pipeline`: (block, diameter) of works that run whole programs."""

    title: str
    data: str
    ours: str
    theirs: str = ""
    peers: tuple[tuple[int, float], ...] = ()
    memory: float = 0.0
    bound: str = ""
    judge: Judge | None = None
    pipeline: tuple[int, int] | None = None


def _cells(truth: Answer, found: Answer) -> tuple[int, int, float]:
    """Right cells (IoU over 0.5), all true cells, and the share of their voxels that lie in another cell or in none."""
    shared = overlaps(truth["labels"], found["labels"])
    inside = shared.truth > 0
    best = np.zeros(int(shared.truth.max()) + 1, np.int64)
    paired = inside & (shared.found > 0)
    np.maximum.at(best, shared.truth[paired].astype(np.int64), shared.voxels[paired])
    total = int(shared.voxels[inside].sum())
    matched = compare(truth["labels"], found["labels"])
    return matched.matched, matched.n_truth, 1 - int(best.sum()) / total


def against_truth(truth: Answer, ours: Answer, theirs: Answer) -> str:
    (a, n, x), (b, _, y) = _cells(truth, ours), _cells(truth, theirs)
    return f"right cells {a} / {b} of {n}; voxels in a wrong cell {x:.3%} / {y:.3%}"


def rejected(truth: Answer, ours: Answer, theirs: Answer) -> str:
    """How many of the cells that are to be kept (15 pixels or more) no object matches."""
    sizes = np.bincount(truth["labels"].ravel())
    kept = np.flatnonzero(sizes >= 15)[1:]
    lost = []
    for answer in (ours, theirs):
        lost.append(len(np.setdiff1d(kept, compare(truth["labels"], answer["labels"]).ids[:, 0])))
    return f"right cells not found: {lost[0]} / {lost[1]} of {len(kept)}"


def angle(truth: Answer, ours: Answer, theirs: Answer) -> str:
    """How far the two flows are apart where both point anywhere (the reference looks across borders)."""
    a, b = (np.asarray(f["flows"], np.float64) for f in (ours, theirs))
    a, b = (f / np.maximum(np.sqrt((f**2).sum(0)), 1e-9) for f in (a, b))
    both = ((a**2).sum(0) > 0.5) & ((b**2).sum(0) > 0.5)
    turned = np.degrees(np.arccos(np.clip((a * b).sum(0)[both], -1, 1)))
    return f"median angle between the two {np.median(turned):.2f} degrees"


def difference(truth: Answer, ours: Answer, theirs: Answer) -> str:
    a, b = (np.asarray(f["flows"], np.float64) for f in (ours, theirs))
    return f"rms difference {np.sqrt(((a - b) ** 2).mean() / (b**2).mean()):.2e} of the outputs"


def linked(truth: Answer, ours: Answer, theirs: Answer) -> str:
    a, b = (f["labels"].astype(np.int64) for f in (ours, theirs))
    pairs = len(np.unique(a * (int(b.max()) + 1) + b))
    n, m = int(a.max()), len(np.unique(b[b > 0]))
    same = "the same" if n == m == pairs - 1 else "NOT the same"
    return f"{n} / {m} objects, {same}"


def seams(truth: Answer, ours: Answer, theirs: Answer) -> str:
    parts = [_cut_and_fused(overlaps(truth["labels"], f["labels"])) for f in (ours, theirs)]
    whole = overlaps(truth["whole"], ours["labels"])
    unlike = 2 * len(whole.voxels) - len(np.unique(whole.truth)) - len(np.unique(whole.found))
    return (
        f"cells in pieces {parts[0][0]} / {parts[1][0]}, objects of several cells {parts[0][1]} / {parts[1][1]}; "
        f"ours that differ from one run over the whole: {unlike}"
    )


def _cut_and_fused(shared: Overlaps) -> tuple[int, int]:
    """Cells of which two objects hold a tenth or more each, and objects that hold half or more of two cells."""
    size = dict.fromkeys(np.unique(shared.truth).tolist(), 0)
    for name, voxels in zip(shared.truth.tolist(), shared.voxels.tolist(), strict=True):
        size[name] += voxels
    share = shared.voxels / np.array([size[n] for n in shared.truth.tolist()])
    inside = (shared.truth > 0) & (shared.found > 0)
    cut = np.unique(shared.truth[inside & (share >= 0.1)], return_counts=True)[1]
    fused = np.unique(shared.found[inside & (share >= 0.5)], return_counts=True)[1]
    return int((cut > 1).sum()), int((fused > 1).sum())


ROWS = {
    "masks3": Row(
        "3-D masks, 256^3, exact flows", "cells3", "masks3", "masks3", ((4, 40),), 0.25, "copy", against_truth
    ),
    "masks3_noisy": Row(
        "3-D masks, 256^3, noisy flows", "noisy3", "masks3", "masks3", ((4, 40),), 0.25, "copy", against_truth
    ),
    "masks2": Row(
        "2-D masks with flow check, 2048^2", "cells2", "masks2", "masks2", ((4, 30), (3, 8)), 0, "copy", rejected
    ),
    "flows2": Row("labels to flows, 1024^2", "labels2", "to_flows2", "to_flows2", ((4, 50), (3, 8)), 0, "copy", angle),
    "flows3": Row("labels to flows, 64^3", "labels3", "to_flows3", "to_flows3", ((4, 50),), 0, "copy", angle),
    "plane": Row("CPnet, 1024^2, float32", "network", "plane_float32", "plane", ((3, 2),), 0, "float32", difference),
    "plane_bf16": Row(
        "CPnet, 1024^2, bfloat16", "network", "plane_bfloat16", "plane", ((3, 4.5),), 0, "bfloat16", difference
    ),
    "plane_default": Row(
        "CPnet, 1024^2, bfloat16, our tiles", "network", "plane_default_bfloat16", "plane", ((3, 4.5),), 0, "bfloat16"
    ),
    "views": Row(
        "CPnet, three views of 128^3, float32", "network", "views_float32", "views", ((3, 2),), 0, "float32", difference
    ),
    "views_bf16": Row(
        "CPnet, three views of 128^3, bfloat16",
        "network",
        "views_bfloat16",
        "views",
        ((3, 4.5),),
        0,
        "bfloat16",
        difference,
    ),
    "views_default": Row(
        "CPnet, three views of 128^3, bfloat16, our tiles",
        "network",
        "views_default_bfloat16",
        "views",
        ((3, 4.5),),
        0,
        "bfloat16",
    ),
    "link": Row("plane linking, 4 x 2048^2", "planes", "link", "link", ((4, 10),), 0, "copy", linked),
    "link_few": Row("plane linking, streamed, 4 x 2048^2", "planes", "link_stream"),
    "link_many": Row("plane linking, streamed, 16 x 2048^2", "planes_many", "link_stream"),
    "link_large": Row("plane linking, 4 x 4096^2", "planes_large", "link", bound="copy"),
    "pipeline": Row(
        "pipeline, exact flows, 256 x 512 x 512", "whole", "exact", "exact", ((4, 20),), 0.5, "", seams, (256, 30)
    ),
    "pipeline_network": Row(
        "pipeline, CPnet float32, 256 x 512 x 512",
        "whole",
        "network",
        "network",
        ((3, 3),),
        0,
        "float32",
        None,
        (256, 30),
    ),
}
