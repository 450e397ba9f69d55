"""PNG, the part of it that a picture in a page needs: 8-bit RGB, no filters, no metadata."""

from __future__ import annotations

import struct
import zlib

from bigcell.core.volume import Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(picture: Array) -> bytes:
    """The file of a `picture` (rows, columns, 3) of uint8 (ISO/IEC 15948).

    Every row is coded as the difference to the pixel on its left, which halves the file of a noisy image.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != "uint8" or 0 in picture.shape:
        raise ValueError(
            f"a picture of {picture.dtype} and shape {picture.shape} given, wanted uint8 (rows, columns, 3)"
        )
    rows, columns, _ = picture.shape
    coded = picture.copy()
    coded[:, 1:] -= picture[:, :-1]
    lines = b"".join(b"\x01" + row.tobytes() for row in coded)
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"".join([SIGNATURE, _part(b"IHDR", head), _part(b"IDAT", zlib.compress(lines, 9)), _part(b"IEND", b"")])


def _part(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
