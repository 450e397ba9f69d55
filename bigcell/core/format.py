"""Numbers and commands as people write them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def command(verb: str, *places: object, **options: object) -> str:
    """A command line of ours that can be copied, quoted as a shell wants it.

    Options that are None or "" are left out.

    >>> command("resume", "my brain.zarr", labels="nuclei", work=None)
    "bigcell resume 'my brain.zarr' --labels nuclei"
    """
    words = ["bigcell", *verb.split(), *(f"./{p}" if str(p).startswith("-") else str(p) for p in places)]
    for name, value in options.items():
        if value not in (None, ""):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def size(count: float) -> str:
    """A number of bytes in a unit that reads well.

    >>> size(1536), size(2.5e9)
    ('1.54 kB', '2.5 GB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(3725), duration(200000)
    ('42 s', '1 h 2 min', '2 d 7 h')
    """
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 2:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes:.0f} min"
    if hours < 48:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(hours // 24)} d {int(hours % 24)} h"


def short(count: float) -> str:
    """A number with three figures.

    >>> short(12_345_678), short(40)
    ('12.3 M', '40')
    """
    for unit in ("", "k", "M"):
        if count < 1000:
            return f"{count:.3g} {unit}".rstrip()
        count /= 1000
    return f"{count:.3g} G"


def shape(values: Sequence[int]) -> str:
    """Lengths along axes.

    >>> shape((64, 256, 256))
    '64 x 256 x 256'
    """
    return " x ".join(str(v) for v in values)
