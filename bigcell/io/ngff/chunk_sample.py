"""A sample of the files of an image, put down when a run begins, that tells later whether its voxels have changed.

Looked at are up to `MAX_FILES` places of the grid of chunks (of shards, where there are some) in the volume's region,
channels and time, spread evenly; all of them where there are no more. Of each: whether a file is there, its size, and
its modification time (ns on disks) or what a server says in its place: the ETag, or else Last-Modified. Of `CONTENTS`
of the files also a checksum of the first and the last 64 kB.

*Found out* is any change of a place that is looked at: a file that appears, vanishes, or has another size or time.
Files whose time alone is another are held against their checksum: so a store that was copied or restored, where every
time is another, is the same image. Where some times are others and some are not, a file without a checksum counts as
changed.

*Not found out* is a change in a place that is not looked at (of one chunk of 10,000 nine times out of ten; of one in a
hundred of them in one run of 23,000); one that leaves size and time as they were (within the resolution of the file
system's clock, or with the time set back); in a store whose every time is another, one that leaves the size of its file
and is in none with a checksum, or lies between the ends of one; and whatever a server does not tell (one that does not
answer HEAD seems empty).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import prod
from typing import Any

from bigcell.core.axes import ZYX
from bigcell.io.ngff.chunk_files import UNTOLD, Look, checksums, chunk_files, look_at
from bigcell.io.ngff.image import ZarrVolume, chunk_names

MAX_FILES = 1000
"""Places that are looked at."""
CONTENTS = 64
"""Files whose ends are read."""
GOLDEN = 0.6180339887498949

Place = tuple[int, ...]
Seen = dict[str, Look | None]


@dataclass(frozen=True)
class ChunkSample:
    """`seen`: what was told of each file, None for one that is not there; `contents`: checksums of some; `places`: how
    many there are in all."""

    places: int
    seen: Seen
    contents: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        seen = {name: look and [look.size, look.stamp] for name, look in self.seen.items()}
        return {"places": self.places, "seen": seen, "contents": self.contents}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ChunkSample:
        """What `to_json` gave. KeyError, TypeError or ValueError for anything else."""
        told = dict(values["seen"])
        seen = {name: None if look is None else Look(int(look[0]), str(look[1])) for name, look in told.items()}
        return cls(int(values["places"]), seen, dict(values["contents"]))


def take_sample(volume: ZarrVolume) -> ChunkSample:
    """Look at the files of `volume` as they are now. Reads 8 MB at most, and no voxel."""
    count, places = chunk_places(volume)
    files = chunk_files(volume.info.source)
    seen = look_at(files, chunk_names(volume, places))
    there = [(name, look.size) for name, look in seen.items() if look is not None and look != UNTOLD]
    some = [there[i] for i in _spread(len(there), CONTENTS)]
    return ChunkSample(count, seen, checksums(files, some))


def changes(sample: ChunkSample, volume: ZarrVolume, mended: Iterable[str] = (), *, patient: bool = False) -> list[str]:
    """What has changed since `sample` was taken, a few words for each file; nothing for those in `mended`.

    The files are found anew from the image: what a sample names beyond them is not looked at.
    """
    files = chunk_files(volume.info.source, patient=patient)
    names = [name for name in chunk_names(volume, chunk_places(volume)[1]) if name in sample.seen]
    now = look_at(files, names)
    left_out = set(mended)
    pairs = {name: (sample.seen[name], now[name]) for name in names if name not in left_out}
    return compared(pairs, sample.contents, lambda sizes: checksums(files, sizes))


Sums = Callable[[list[tuple[str, int]]], dict[str, str]]


def compared(
    pairs: Mapping[str, tuple[Look | None, Look | None]], contents: Mapping[str, str], sums: Sums
) -> list[str]:
    """The files that changed between two looks. `sums` gives the checksums of files now, for those in `contents`.

    >>> old, new = Look(10, "1"), Look(12, "1")
    >>> compared({"0/0": (old, new), "0/1": (old, None), "0/2": (old, old)}, {}, lambda sizes: {})
    ['0/0 (10 -> 12 bytes)', '0/1 (vanished)']
    """
    found, late, kept = {}, {}, 0
    for name, (old, new) in pairs.items():
        if UNTOLD in (old, new):
            continue
        if old is None or new is None or old.size != new.size:
            found.update({name: _said(old, new)} if old != new else {})
        elif old.stamp != new.stamp:
            late[name] = old, new
        else:
            kept += 1
    again = sums([(name, new.size) for name, (_, new) in late.items() if name in contents])
    for name, (old, new) in late.items():
        if name in again and again[name] != contents[name]:
            found[name] = "other content"
        elif name not in again and kept:
            found[name] = _said(old, new)
    return [f"{name} ({said})" for name, said in sorted(found.items())]


def chunk_places(volume: ZarrVolume) -> tuple[int, list[Place]]:
    """How many files of chunks the view of `volume` may have, and the places of those that are looked at."""
    along = _ranges(volume)
    count = prod(map(len, along))
    places = []
    for flat in _spread(count, MAX_FILES):
        at = []
        for numbers in reversed(along):
            flat, here = divmod(flat, len(numbers))
            at.append(numbers[here])
        places.append(tuple(reversed(at)))
    return count, places


def holding(volume: ZarrVolume, chunk: Place) -> str:
    """The name of the file that holds a chunk, told by its place in the grid of chunks."""
    level = volume.info.levels[volume.level]
    unit = level.shards or level.chunks
    (name,) = chunk_names(volume, [tuple(at * n // u for at, n, u in zip(chunk, level.chunks, unit, strict=True))])
    return name


def _ranges(volume: ZarrVolume) -> list[Sequence[int]]:
    """The places along each of the file's axes."""
    level = volume.info.levels[volume.level]
    spans = dict(zip(ZYX, zip(volume.region.start, volume.region.stop, strict=True), strict=True))
    along: list[Sequence[int]] = []
    for axis, unit in zip(volume.info.axes, level.shards or level.chunks, strict=True):
        if axis in spans:
            first, last = spans[axis]
            along.append(range(first // unit, (last - 1) // unit + 1))
        else:
            along.append(sorted({i // unit for i in (volume.indices if axis == "c" else (volume.time,))}))
    return along


def _spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`: one of each of as many equal parts, now here, now there in its part,
    so that no row or column of a grid is passed over.

    >>> _spread(3, 10), _spread(100, 4)
    ([0, 1, 2], [0, 40, 55, 96])
    """
    if count <= most:
        return list(range(count))
    edges = [count * i // most for i in range(most + 1)]
    return [a + int((b - a) * (i * GOLDEN % 1)) for i, (a, b) in enumerate(pairwise(edges))]


def _said(old: Look | None, new: Look | None) -> str:
    if old is None or new is None:
        return "appeared" if old is None else "vanished"
    if old.size != new.size:
        return f"{old.size} -> {new.size} bytes"
    return f"written {_time(old.stamp)} -> {_time(new.stamp)}"


def _time(stamp: str) -> str:
    """A time in ns as a date; an ETag as it is.

    >>> _time("86400500000000"), _time('"5d41"')
    ('1970-01-02T00:00:00.500Z', '"5d41"')
    """
    if not stamp.lstrip("-").isdigit():
        return stamp[:60]
    try:
        return datetime.fromtimestamp(int(stamp) / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return stamp[:60]
