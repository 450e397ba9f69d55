"""Axis order and voxel size: the only place that knows which axis is which.

Everything inside bigcell is ``(z, y, x)``, channels first; a 2-D image is a volume of one plane.
"""

from __future__ import annotations

from dataclasses import dataclass

ZYX = ("z", "y", "x")

UM_PER_UNIT = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "inch": 25400.0,
}


@dataclass(frozen=True, slots=True)
class Spacing:
    """Voxel size along z, y, x in µm. ``known`` is False where the file gave no unit and 1 stands in.

    >>> Spacing(2.0, 0.5, 0.5).anisotropy
    4.0
    """

    z: float = 1.0
    y: float = 1.0
    x: float = 1.0
    known: bool = True

    def __post_init__(self) -> None:
        if not all(0 < s < float("inf") for s in self.zyx):
            raise ValueError(f"voxel size {self.zyx} must be positive and finite")

    @property
    def zyx(self) -> tuple[float, float, float]:
        return (self.z, self.y, self.x)

    @property
    def anisotropy(self) -> float:
        """How many times a voxel is longer in z than in x."""
        return self.z / self.x

    @property
    def voxel_um3(self) -> float:
        return self.z * self.y * self.x
