"""Draw the figure of docs/explanation/concepts.md: one volume as it is stored, as it is worked on, and as it is solved.

    python scripts/draw_concepts.py

The figure goes to docs/pictures/concepts.svg. It is a cut through a volume of 480 x 480 voxels, a pixel each.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import hypot
from pathlib import Path

from bigcell.tiling.grid import BlockGrid

FILE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "concepts.svg"
SIDE, GAP, TOP = 480, 60, 50
CHUNK, SHARD, BLOCK, HALO, TILE, STEP = 60, 120, 160, 40, 140, 120
GRID = BlockGrid((1, SIDE, SIDE), (1, BLOCK, BLOCK))
MIDDLE = 4
"""The block that is shown with its halo."""
INK, GREY, BLUE, ORANGE, GREEN = "#222", "#999", "#2468b0", "#d9730d", "#2e8540"
SINK, HALF = (300.0, 228.0), (62.0, 42.0)
"""Where the cell ends up, and half its width and height; it lies across the side of the middle block, at x = 320."""
CENTRE = (318.0, 236.0)
SIDE_OF_BLOCK = 320.0

Point = tuple[float, float]


def main() -> None:
    FILE.write_text(figure())
    print(f"{FILE}: {FILE.stat().st_size / 1e3:.0f} kB")


def figure() -> str:
    """The whole file."""
    panels = (("How it is stored", stored()), ("How it is worked on", worked_on()), ("How a cell is found", found()))
    width, height = len(panels) * (SIDE + GAP) + GAP // 2, SIDE + TOP + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="17">',
        "<title>A volume: its chunks and shards; its blocks, a halo and tiles; a cell, its pieces and its sink</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, (title, shapes) in enumerate(panels):
        parts.append(f'<g transform="translate({GAP // 2 + number * (SIDE + GAP) + 15} {TOP})">')
        parts.append(f'<text x="0" y="-18" font-size="21" fill="{INK}">{title}</text>')
        parts += [*shapes, box(0, 0, SIDE, SIDE, INK, 2), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def stored() -> Iterator[str]:
    """Chunks and shards of the volume."""
    for at in range(0, SIDE, CHUNK):
        yield from cross(at, GREY, 1.0 if at % SHARD else 2.5)
    yield box(SHARD, SHARD, SHARD, SHARD, BLUE, 4, fill=BLUE)
    yield box(3 * SHARD, 2 * SHARD, CHUNK, CHUNK, ORANGE, 4, fill=ORANGE)
    yield words(SHARD + SHARD / 2, SHARD + SHARD / 2 + 6, "shard", "a file")
    yield words(3 * SHARD + CHUNK / 2, 2 * SHARD + CHUNK + 24, "chunk", "read at once")
    yield words(SIDE / 2, SIDE - 30, "volume")


def worked_on() -> Iterator[str]:
    """Blocks, the halo of one of them, and two tiles of the lattice."""
    for number in range(9):
        core = GRID.core(number)
        (_, y, x), (_, high, wide) = core.start, core.shape
        yield box(x, y, wide, high, GREY, 2.5)
    (_, y, x) = GRID.core(MIDDLE).start
    yield box(x - HALO, y - HALO, BLOCK + 2 * HALO, BLOCK + 2 * HALO, BLUE, 3, dash=True)
    yield box(x, y, BLOCK, BLOCK, BLUE, 4, fill=BLUE)
    for at in (0, STEP):
        yield box(at, 0, TILE, TILE, GREEN, 3, fill=GREEN)
    yield words(x + BLOCK / 2, y + BLOCK / 2, "block (its core)", "owned, written")
    yield words(x + BLOCK / 2, y + BLOCK + 26, "halo (only read)")
    yield words(TILE - 10, TILE / 2, "tiles of one lattice", "overlap")


def found() -> Iterator[str]:
    """A cell across two blocks: its pieces, the flow, its sink."""
    for number in (0, 1):
        half = f'<rect x="{SIDE_OF_BLOCK * number}" width="{SIDE_OF_BLOCK}" height="{SIDE}"/>'
        yield f'<clipPath id="half{number}">{half}</clipPath>'
    for number, fill in enumerate((BLUE, ORANGE)):
        yield (
            f'<ellipse cx="{CENTRE[0]}" cy="{CENTRE[1]}" rx="{2 * HALF[0]}" ry="{2 * HALF[1]}" fill="{fill}" '
            f'fill-opacity="0.25" stroke="{fill}" stroke-width="3" clip-path="url(#half{number})"/>'
        )
    yield f'<path d="M{SIDE_OF_BLOCK} 0V{SIDE}" stroke="{GREY}" stroke-width="3" stroke-dasharray="9 6"/>'
    for start in starts():
        yield arrow(start)
    yield f'<circle cx="{SINK[0]}" cy="{SINK[1]}" r="8" fill="{INK}"/>'
    yield words(SINK[0], SINK[1] + 140, "sink", "where the voxels of a cell end: its name")
    yield f'<path d="M{SINK[0]} {SINK[1] + 118}V{SINK[1] + 14}" stroke="{INK}" stroke-width="1.5"/>'
    yield words(SIDE_OF_BLOCK / 2, 60, "block", "owns the cell: the sink lies in it")
    yield words((SIDE_OF_BLOCK + SIDE) / 2, 60, "next block")
    yield words(CENTRE[0] - 150, CENTRE[1] - 66, "piece")
    yield words(CENTRE[0] + 112, CENTRE[1] - 76, "piece")


def starts() -> Iterator[Point]:
    """Voxels of the cell, evenly spread."""
    for x in range(-100, 121, 36):
        for y in range(-60, 61, 30):
            if hypot(x / (2 * HALF[0]), y / (2 * HALF[1])) < 0.9:
                yield CENTRE[0] + x, CENTRE[1] + y


def arrow(start: Point) -> str:
    """The flow at a voxel: a step towards the sink."""
    x, y = SINK[0] - start[0], SINK[1] - start[1]
    length = hypot(x, y)
    if length < 20:
        return ""
    x, y = x / length, y / length
    end = (start[0] + 20 * x, start[1] + 20 * y)
    wings = [(end[0] - 6 * x + s * 4 * y, end[1] - 6 * y - s * 4 * x) for s in (1, -1)]
    path = f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}" + "".join(
        f"M{end[0]:.1f} {end[1]:.1f}L{w[0]:.1f} {w[1]:.1f}" for w in wings
    )
    return f'<path d="{path}" stroke="{INK}" stroke-width="1.5" fill="none"/>'


def cross(at: int, colour: str, width: float) -> Iterator[str]:
    """The lines of a grid at one distance."""
    yield f'<path d="M{at} 0V{SIDE}M0 {at}H{SIDE}" stroke="{colour}" stroke-width="{width}"/>'


def box(
    x: float, y: float, wide: float, high: float, colour: str, width: float, *, fill: str = "", dash: bool = False
) -> str:
    inside = f'fill="{fill}" fill-opacity="0.2"' if fill else 'fill="none"'
    dashes = ' stroke-dasharray="9 6"' if dash else ""
    place = f'x="{x}" y="{y}" width="{wide}" height="{high}"'
    return f'<rect {place} {inside} stroke="{colour}" stroke-width="{width}"{dashes}/>'


def words(x: float, y: float, term: str, meaning: str = "") -> str:
    """A term, and below it what it is, on a white ground."""
    style = f'text-anchor="middle" fill="{INK}" stroke="white" stroke-width="5" paint-order="stroke"'
    said = f'<text x="{x}" y="{y}" font-weight="bold" {style}>{term}</text>'
    return said + (f'<text x="{x}" y="{y + 19}" font-size="15" {style}>{meaning}</text>' if meaning else "")


if __name__ == "__main__":
    main()
