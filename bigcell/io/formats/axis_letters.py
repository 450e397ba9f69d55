"""Letters of axes: those that a file tells are kept, others are guessed for the message, and odd ones asked about.

None of it changes pixels: a guess is only what an error proposes.
"""

from __future__ import annotations

from collections.abc import Sequence

LETTERS = "tczyxs"
"""Time, channel, z, y, x, and s: the samples of a colour pixel, which become channels."""
INSIST = "!"
"""Said after axes that look wrong and are right."""
FEW, MANY = 4, 16
"""So few voxels along y or x, and so many along z, t or c: then these are channels, more likely than not."""


def guessed_axes(found: str, shape: Sequence[int], channel: int | None = None) -> str:
    """Axes to propose for `shape`: the letters `found` in the file, and for the others what is usual.

    `channel`: the place of an axis that is one, whatever the file says. Few voxels along the last axis are channels.

    >>> guessed_axes("QYXS", (6, 64, 64, 3)), guessed_axes("?", (6, 64, 64, 3)), guessed_axes("QQYX", (6, 2, 64, 64))
    ('zyxs', 'zyxc', 'zcyx')
    """
    told = found.lower() if len(found) == len(shape) else "?" * len(shape)
    letters = [a if a in LETTERS and told.count(a) == 1 else "?" for a in told]
    if channel is None and len(shape) > 2 and "s" not in letters and shape[-1] <= FEW < min(shape[-3:-1]):
        channel = len(shape) - 1
    if channel is not None:
        letters = ["s" if a == "s" else "?" for a in letters]
        letters[channel] = "s" if "s" in letters else "c"
    for axis in "xy":
        if axis not in letters and "?" in letters:
            letters[len(letters) - 1 - letters[::-1].index("?")] = axis
    chosen = [a for a in "zct" if a not in letters][: letters.count("?")]
    rest = iter(sorted(chosen, key="tzc".index))
    return "".join(next(rest, "?") if a == "?" else a for a in letters)


def odd_side(axes: str, shape: Sequence[int], found: str) -> int | None:
    """The place of a y or x in `axes` that is more likely channels or colours, if there is one.

    >>> odd_side("zcyx", (6, 64, 64, 3), "QQYX"), odd_side("zcyx", (6, 2, 64, 64), "QQYX")
    (3, None)
    """
    samples = found.lower().find("s") if len(found) == len(axes) else -1
    if samples >= 0 and axes[samples] in "yx":
        return samples
    most = max((n for a, n in zip(axes, shape, strict=True) if a in "tcz"), default=0)
    for axis, least in (("x", 1), ("y", 2)):  # scans of one line have a y of 1
        place = axes.index(axis)
        if least <= shape[place] <= FEW and most >= MANY:
            return place
    return None
