"""Facts: all that a report tells, as plain data. It stands in the page itself, so that the page can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bigcell.core.errors import InputError
from bigcell.core.settings import from_document

FORMAT = 1


@dataclass(frozen=True)
class Stage:
    """One stage: `tasks` of `total` done, each counted once. `work` is the sum of their seconds, `elapsed` the time
    from the first to the last without pauses (0 where it is not known), `voxels` those of the volume that they
    went over, `retries` the tries that failed."""

    name: str
    tasks: int
    total: int
    work: float = 0.0
    elapsed: float = 0.0
    voxels: int = 0
    peak_bytes: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Pause:
    """No driver ran for `seconds`; `at` is where that is in the time that was worked (seconds)."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Rate:
    """Tasks a second of one stage, bin by bin."""

    stage: str
    each: tuple[float, ...]


@dataclass(frozen=True)
class Times:
    """Bins of `width` seconds each from `began` (since 1970) on, pauses cut out.

    `busy`: workers at work; `rates`: of each stage that had tasks then; `peaks`: the most bytes of a process.
    """

    began: float
    width: float
    busy: tuple[float, ...]
    rates: tuple[Rate, ...]
    peaks: tuple[int, ...]
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True)
class Quantity:
    """One quantity of a map: `levels` is base64 of a byte for each cell, 0 for none, 1 for 0 up to 255 for `high`.

    `least`, `middle`, `mean`, `most` and `sum` are of the cells themselves. `adds`: cells add up (they are averaged
    where not).
    """

    name: str
    unit: str
    high: float
    levels: str
    least: float
    middle: float
    mean: float
    most: float
    sum: float
    adds: bool = False


@dataclass(frozen=True)
class BlockMap:
    """Quantities of the blocks of a volume: `blocks` along z, y, x of `block` voxels each.

    A cell of the map is `factors` blocks along each axis. `slow`: the cells that took longest, as start and stop in
    voxels (z, y, x), and seconds for each block.
    """

    extent: tuple[int, int, int]
    blocks: tuple[int, int, int]
    block: tuple[int, int, int]
    factors: tuple[int, int, int]
    cells: tuple[int, int, int]
    quantities: tuple[Quantity, ...]
    slow: tuple[tuple[tuple[int, ...], tuple[int, ...], float], ...] = ()


@dataclass(frozen=True)
class Histogram:
    """`counts` of objects between `edges` (voxels; one edge more than counts). Limits of 0 are none."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    min_size: int = 0
    max_size: int = 0


@dataclass(frozen=True)
class Seams:
    """How often labels change across planes at `offsets` from faces of blocks (0 is the face itself), as `shares` of
    voxel pairs. `ratio`, with its standard `error`, is that of the faces to the planes near them."""

    faces: int
    offsets: tuple[int, ...]
    shares: tuple[float, ...]
    ratio: float
    error: float
    verdict: str
    clean: bool


@dataclass(frozen=True)
class Picture:
    """A PNG in base64 of `size` (rows, columns), and what it shows."""

    png: str
    size: tuple[int, int]
    caption: str


@dataclass(frozen=True)
class Facts:
    """`state`: finished, running or stopped. `rows`: names and values for the head of the page. `memory_plan`: bytes
    that a worker was planned to take. `lost`: why parts are missing."""

    title: str
    state: str
    rows: tuple[tuple[str, str], ...]
    versions: dict[str, str]
    plan: str
    command: str = ""
    stages: tuple[Stage, ...] = ()
    times: Times | None = None
    memory_plan: int = 0
    blocks: BlockMap | None = None
    histogram: Histogram | None = None
    seams: Seams | None = None
    pictures: tuple[Picture, ...] = ()
    failures: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    format: int = field(default=FORMAT)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Facts:
        """The facts in `values`; anything else is an InputError."""
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            raise InputError(f"this is not a report of format {FORMAT}; make it with this version of bigcell")
        return from_document(cls, values)
