"""Reading inputs some of whose chunks are damaged: the chunk is named, or taken as empty and counted, as asked."""

from __future__ import annotations

import json
from typing import Literal

from bigcell.core.box import Box
from bigcell.core.documents import parse_json
from bigcell.core.errors import ChunkError
from bigcell.core.volume import Array, Volume
from bigcell.io.ngff.image import ZarrVolume
from bigcell.io.ngff.unreadable_chunks import BadChunk, bad_chunk_error, read_around
from bigcell.io.scratch import Scratch

OnBadChunk = Literal["fail", "fill"]
LOG = "bad_chunks"
"""The log of the scratch that lists those that were taken as empty."""
UNREAD = "unread_chunks"
"""The log of the scratch that lists those at which a task failed; they may be mended, and the task done again."""
MAX_LISTED = 5
"""Bad chunks that a notice names."""


def read_sound(volume: Volume, box: Box, on_bad_chunk: OnBadChunk, scratch: Scratch) -> Array:
    """The voxels of `box`, (channel, z, y, x).

    Chunks that cannot be read in several tries: a ChunkError that names the first for "fail"; for "fill" they are the
    array's fill value, and are put down in the scratch.
    """
    try:
        return volume.read(box)
    except ChunkError:
        if not isinstance(volume, ZarrVolume):
            raise
    values, bad = read_around(volume, box)
    for chunk in bad:
        if on_bad_chunk == "fail":
            scratch.append(UNREAD, json.dumps([volume.identity()["source"], chunk.array, chunk.chunk]).encode())
        else:
            scratch.append(LOG, json.dumps([chunk.array, chunk.chunk, chunk.error]).encode())
    if bad and on_bad_chunk == "fail":
        raise bad_chunk_error(volume, bad)
    return values


def unread_chunks(scratch: Scratch, volume: ZarrVolume) -> set[tuple[int, ...]]:
    """The places of the chunks of `volume` at which a task failed, whether or not they can be read now."""
    identity, array = volume.identity(), volume.info.levels[volume.level].path
    found = set()
    for line in scratch.lines(UNREAD):
        try:
            source, path, place = json.loads(line)
        except (ValueError, TypeError):  # torn by the death of its writer: the task that read the chunk is done again
            continue
        if (source, path) == (identity["source"], array):
            found.add(tuple(place))
    return found


def bad_chunks(scratch: Scratch) -> list[BadChunk]:
    """Every chunk that was taken as empty, once."""
    found = {}
    for line in scratch.lines(LOG):
        try:
            array, place, error = parse_json(line, LOG)
            chunk = BadChunk(str(array), tuple(int(n) for n in place), str(error))
        except (ValueError, TypeError):  # torn by the death of its writer: the task that read the chunk is done again
            continue
        found[chunk.array, chunk.chunk] = chunk
    return [found[place] for place in sorted(found)]


def bad_chunk_notice(bad: list[BadChunk]) -> str:
    """What to tell of them."""
    named = ", ".join(str(chunk.chunk) for chunk in bad[:MAX_LISTED]) + (" ..." if len(bad) > MAX_LISTED else "")
    return (
        f"{len(bad)} chunks cannot be read and are taken as empty, so there are no cells, or cut ones, there: "
        f"{named} of array {bad[0].array!r} ({bad[0].error})"
    )
