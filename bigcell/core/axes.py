"""Axis order and voxel size: the only place that knows which axis is which.

Everything inside bigcell is ``(z, y, x)``, channels first; a 2-D image is a volume of one plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bigcell.core.units import um_per

ZYX = ("z", "y", "x")
Zyx = tuple[int, int, int]
"""A number of voxels, or an index, along z, y and x."""
UM = "µm"
NO_SIZE = "unknown"
"""Stands for the unit of an axis whose size nothing tells: 1 stands in for the size."""
LEAST, MOST = 1e-30, 1e30
"""Sizes of voxels and distances, in any unit, are between these: their products are numbers then."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Voxel size along z, y, x in µm, axis by axis: what is not known in µm stands as the file has it.

    `known`: whether all are in µm. `units`: what each size is in: "µm", another unit of the file ("pixel"), "" where
    it names none, or `NO_SIZE`; left out, sizes of 1 that are not known are none. `sources`: where each number comes
    from, in words, if that is known. `backward`: the axes along which the file has a negative step, which is as long.

    >>> Spacing(2.0, 0.5, 0.5).anisotropy
    4.0
    """

    z: float = 1.0
    y: float = 1.0
    x: float = 1.0
    known: bool = True
    units: tuple[str, ...] = ()
    sources: tuple[str, ...] = field(default=(), compare=False, repr=False)
    backward: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not all(0 < s < float("inf") for s in self.zyx):
            raise ValueError(f"voxel size {self.zyx} must be positive and finite")
        units = self.units or (UM if self.known else NO_SIZE if self.zyx == (1, 1, 1) else "",) * 3
        if len(units) != 3 or self.known != (set(units) == {UM}) or len(self.sources) not in (0, 3):
            raise ValueError(f"voxel size {self.zyx} in {units}, from {self.sources}: wanted three of each")
        object.__setattr__(self, "units", units)

    @classmethod
    def measured(
        cls, sizes: Sequence[float | None], units: Sequence[str | None], sources: Sequence[str] = ()
    ) -> Spacing:
        """The sizes (z, y, x) that a file gives in `units`, in µm where those are lengths; None for one it lacks.

        >>> Spacing.measured((-1500.0, 0.5, None), ("nm", "um", None))
        Spacing(z=1.5, y=0.5, x=1.0, known=False, units=('µm', 'µm', 'unknown'))
        """
        read = [_measured(s, u) for s, u in zip(sizes, units, strict=True)]
        z, y, x = (size for size, _ in read)
        found = tuple(unit for _, unit in read)
        backward = tuple(a for a, s in zip(ZYX, sizes, strict=True) if s is not None and s < 0)
        return cls(z, y, x, set(found) == {UM}, found, tuple(sources), backward)

    @property
    def zyx(self) -> tuple[float, float, float]:
        return (self.z, self.y, self.x)

    @property
    def anisotropy(self) -> float:
        """How many times a voxel is longer in z than in x; 1 where the two are in no common unit."""
        return self.over_x("z")

    @property
    def voxel_um3(self) -> float:
        return self.z * self.y * self.x

    def in_um(self, axis: str) -> bool:
        """Whether the size along `axis` is known."""
        return self.units[ZYX.index(axis)] == UM

    def compares(self, axis: str) -> bool:
        """Whether the sizes along `axis` and x are in one unit, known or not, so that their ratio is known."""
        return self.units[ZYX.index(axis)] == self.units[2] != NO_SIZE

    def over_x(self, axis: str) -> float:
        """The size along `axis` over that along x; 1 where the two are in no common unit."""
        return self.zyx[ZYX.index(axis)] / self.x if self.compares(axis) else 1.0

    def described(self, axes: Sequence[str] = ZYX) -> str:
        """The size in words, along those of `axes` that are of space.

        >>> Spacing(2, 0.5, 0.5).described("yx"), Spacing.measured((2, 0.5, None), ("", "um", "")).described()
        ('0.5 x 0.5 µm', '2 (unit unknown) x 0.5 µm x (size unknown)')
        """
        chosen = [(s, u) for a, s, u in zip(ZYX, self.zyx, self.units, strict=True) if a in axes]
        units = {unit for _, unit in chosen}
        if units == {NO_SIZE}:
            return "size unknown"
        if len(units) > 1:
            return " x ".join(_described(s, u) for s, u in chosen)
        (unit,) = units
        return " x ".join(f"{s:g}" for s, _ in chosen) + (f" {unit}" if unit else ", unit unknown")

    def origins(self, axes: Sequence[str] = ZYX) -> list[str]:
        """Where the sizes along `axes` come from, those of one source together.

        >>> Spacing(sources=("a plane", "scale 1", "scale 1")).origins()
        ['z: a plane', 'y, x: scale 1']
        """
        found: dict[str, list[str]] = {}
        for axis, source in zip(ZYX, self.sources, strict=bool(self.sources)):
            if axis in axes:
                found.setdefault(source + (", a step backwards" if axis in self.backward else ""), []).append(axis)
        return [f"{', '.join(names)}: {source}" for source, names in found.items()]

    def remark(self, axes: Sequence[str] = ZYX) -> str:
        """What a user should know of the size along `axes`: what is not known, and what goes backwards; else nothing.

        >>> Spacing.measured((2, 0.5, 0.5), ("", "um", "um"), ("spacing 2", "", "")).remark()
        'voxel size 2 (unit unknown) x 0.5 µm x 0.5 µm (z: spacing 2)'
        """
        told = [a for a in ZYX if a in axes and (a in self.backward or not self.in_um(a))]
        if not told:
            return ""
        words = self.described(axes)
        why = "" if words == "size unknown" else "; ".join(self.origins(told))
        text = f"voxel size {words.removeprefix('size ')}" + (f" ({why})" if why else "")
        back = [a for a in told if a in self.backward]
        if back:
            text += f"; the negative step along {', '.join(back)} counts as positive, voxels stay in order"
        return text


def _measured(size: float | None, unit: str | None) -> tuple[float, str]:
    """A size and its unit, in µm if that is a length."""
    um = um_per(unit)
    value = abs(size or 0.0) * (um or 1.0)
    if not LEAST < value < MOST:
        return 1.0, NO_SIZE
    return (value, (unit or "").strip()[:40] if um is None else UM)


def _described(size: float, unit: str) -> str:
    if unit == NO_SIZE:
        return "(size unknown)"
    return f"{size:g} {unit or '(unit unknown)'}"
