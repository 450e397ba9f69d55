"""Looks at a few random places of finished labels: faces of blocks, to see whether they left traces, and pictures.

The places are drawn from the plan's id, so that they are the same when it is looked at again. Each look reads a bounded
number of voxels, and all of them together stop after some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isinf
from typing import NamedTuple, TypeVar

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.engine.planning.plan import Plan
from bigcell.report.colours import blend, outlines, stretch
from bigcell.report.facts import Picture, Seams
from bigcell.report.html import picture
from bigcell.stitch.audit import NEAREST, REACH, Audit, changes, judge

FACES = 8
"""Faces along each axis that are looked at."""
PATCH = 192
"""Voxels along a side of a face that are looked at, at most."""
PICTURES = 6
WINDOW = 224
"""Voxels along a side of a picture, at most."""
TRIES = 4
"""Places that are drawn until one holds an object."""
PATIENCE = 4.0
"""Seconds for faces, and for pictures; the one at hand is finished."""
TICK = 7
"""Pixels of the marks at the edge of a picture where blocks meet."""

Read = Callable[[Box], Array]
Place = TypeVar("Place")


class Face(NamedTuple):
    """The plane between voxels `at` - 1 and `at` along `axis`, and the voxels around it that are looked at."""

    axis: int
    at: int
    box: Box


@dataclass(frozen=True)
class Places:
    """Random places of a plan's volume."""

    plan: Plan
    salt: int = 0

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng([int(self.plan.id[:12], 16), self.salt])

    def faces(self, axis: int) -> Iterator[Face]:
        """Patches of inner faces across `axis`, without end; none where no face has room around it."""
        size, extent = self.plan.grid.shape[axis], self.plan.extent
        if size >= extent[axis] or size < 2:
            return
        random = self.random
        last = (extent[axis] - 1) // size
        while True:
            at = int(random.integers(1, last + 1)) * size
            start = [int(random.integers(0, max(1, n - PATCH + 1))) for n in extent]
            stop = [min(s + PATCH, n) for s, n in zip(start, extent, strict=True)]
            start[axis], stop[axis] = max(0, at - REACH - 1), min(extent[axis], at + REACH + 1)
            yield Face(axis, at, Box(tuple(start), tuple(stop)))

    def windows(self, *, at_face: bool) -> Iterator[tuple[Box, tuple[int | None, int | None]]]:
        """Windows of one plane, without end; `at_face`: with a face of blocks in the middle.

        Beside each is where blocks meet in it: a row and a column, counted from its start.
        """
        random, extent, block = self.random, self.plan.extent, self.plan.grid.shape
        side = [min(WINDOW, n) for n in extent[1:]]
        axes = [a for a in (1, 2) if block[a] < extent[a]]
        if at_face and not axes:
            return
        while True:
            z = int(random.integers(0, extent[0]))
            start = [int(random.integers(0, n - s + 1)) for n, s in zip(extent[1:], side, strict=True)]
            if at_face:
                axis = axes[int(random.integers(0, len(axes)))]
                at = int(random.integers(1, (extent[axis] - 1) // block[axis] + 1)) * block[axis]
                start[axis - 1] = min(max(0, at - side[axis - 1] // 2), extent[axis] - side[axis - 1])
            box = Box((z, *start), (z + 1, *(a + s for a, s in zip(start, side, strict=True))))
            yield box, (_meeting(box, block, 1), _meeting(box, block, 2))


def _meeting(box: Box, block: tuple[int, ...], axis: int) -> int | None:
    """The face of blocks nearest to the middle of a window along `axis`, from its start."""
    start, stop, size = box.start[axis], box.stop[axis], block[axis]
    at = round((start + stop) / 2 / size) * size
    return at - start if start < at < stop else None


def check_seams(plan: Plan, labels: Read, *, patience: float = PATIENCE) -> Seams | None:
    """Whether borders of objects lie on faces of blocks more often than on planes next to them. None without faces."""
    offsets, deadline = np.arange(-REACH, REACH + 1), time.monotonic() + patience
    sources = [Places(plan, axis).faces(axis) for axis in range(3)]
    rows = []
    for source in sources * FACES:
        found = _first_with_objects(source, lambda face: labels(face.box), deadline)
        if found is not None:
            row = _row(plan, *found, offsets)
            if np.isfinite(row[offsets == 0]).all() and np.isfinite(row[np.abs(offsets) >= NEAREST]).any():
                rows.append(row)
    return _told(judge(np.stack(rows), offsets)) if rows else None


def _first_with_objects(
    places: Iterator[Place], read: Callable[[Place], Array], deadline: float
) -> tuple[Place, Array] | None:
    """The first of a few places that holds an object, and its labels. None if there is none, or no time left."""
    for _, place in zip(range(TRIES), places, strict=False):
        if time.monotonic() > deadline:
            return None
        held = read(place)
        if held.any():
            return place, held
    return None


def _row(plan: Plan, face: Face, held: Array, offsets: Array) -> Array:
    """Shares of changes at `offsets` from a face; NaN outside of the volume, and for planes that are other faces."""
    found = changes(held, face.axis)
    size, first = plan.grid.shape[face.axis], face.box.start[face.axis] + 1 - face.at
    row = np.full(len(offsets), np.nan)
    for place, offset in enumerate(offsets):
        inside = 0 <= offset - first < len(found)
        if inside and (offset == 0 or (face.at + offset) % size):
            row[place] = found[offset - first]
    return row


def _told(audit: Audit) -> Seams:
    many = "infinitely many" if isinf(audit.ratio) else f"{audit.ratio:.2f}"
    error = f" (± {audit.error:.2f})"
    if audit.is_clean:
        said = (
            f"No seams found: labels change across the faces of blocks {many} times as often as across planes next "
            f"to them{error}; 1 is expected."
        )
    else:
        said = (
            f"Labels change across the faces of blocks {many} times as often as across planes next to them{error}, "
            "where 1 is expected: objects may be cut there. Look at the pictures of faces, and report it."
        )
    ratio = 1e9 if isinf(audit.ratio) else audit.ratio
    return Seams(audit.faces, audit.offsets, audit.shares, ratio, audit.error, said, audit.is_clean)


def take_pictures(plan: Plan, image: Read | None, labels: Read, *, patience: float = PATIENCE) -> tuple[Picture, ...]:
    """Windows of random planes with the objects outlined, every other one at a face of blocks."""
    deadline, found = time.monotonic() + patience, []
    sources = [Places(plan, 10 + k).windows(at_face=bool(k)) for k in (0, 1)]
    for turn in range(PICTURES):
        looked = _first_with_objects(sources[turn % 2], lambda place: labels(place[0])[0], deadline)
        if looked is not None:
            (box, meet), held = looked
            seen = image(box)[:, 0] if image is not None else None
            found.append(_picture(seen, held, box, meet, at_face=turn % 2 == 1))
    return tuple(found)


def _picture(
    image: Array | None, labels: Array, box: Box, meet: tuple[int | None, int | None], *, at_face: bool
) -> Picture:
    rows, columns = labels.shape
    scale = max(1, min(4, WINDOW // max(rows, columns)))
    shape = (rows * scale, columns * scale)
    base = np.zeros((*shape, 3), np.float32) if image is None else blend(image, stretch([image]), shape)
    drawn = outlines(base, labels, width=1)
    for axis, at in enumerate(meet):
        if at is not None:
            _mark(drawn, axis, at * scale)
    z, y, x = box.start
    where = f"z {z}, y {y} to {box.stop[1]}, x {x} to {box.stop[2]}"
    many = len(np.unique(labels[labels > 0]))
    here = "a face of blocks" if at_face else "a random place"
    return picture(drawn, f"{where}: {many} object{'' if many == 1 else 's'}, {here}")


def _mark(drawn: Array, axis: int, at: int) -> None:
    """White marks at the edges of a picture where two blocks meet: between pixels `at` - 1 and `at`."""
    turned = np.moveaxis(drawn, axis, 0)
    line = turned[max(0, at - 1) : at + 1]
    line[:, :TICK] = line[:, -TICK:] = 1.0
