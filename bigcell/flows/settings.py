"""Settings of the flows: which views and with what weight, test-time flips, smoothing, and the arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from bigcell.core.errors import SettingsError
from bigcell.tiling.lattice import VIEWS

Combine = Literal["average", "sum"]
Precision = Literal["float32", "bfloat16"]
Choice = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class NetworkCost:
    """Bytes of a worker: `held` once a network is loaded and has run, `pixel` for each pixel of a tile in it."""

    held: float = 0.0
    pixel: float = 0.0


@dataclass(frozen=True)
class FlowSettings:
    """How the network's outputs become one flow field.

    `views`: the components of the three views are averaged, or summed as Cellpose does. `view_weights`: of yx, zx and
    zy; only their ratios count; a view of weight 0 is not run. `augment`: every tile is also seen flipped, and the
    answers are averaged. `smooth`: sigma of a Gaussian over the flows along z, y, x, in voxels of the image (Cellpose's
    ``flow3D_smooth``); the cell probability stays as it is. `precision`: of the network's arithmetic.
    """

    views: Combine = "average"
    view_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    augment: bool = False
    smooth: tuple[float, float, float] = (0.0, 0.0, 0.0)
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.views not in ("average", "sum"):
            raise SettingsError(f"views {self.views!r}: wanted 'average' or 'sum'")
        if len(self.view_weights) != 3 or not all(0 <= w < inf for w in self.view_weights):
            raise SettingsError(f"view weights {self.view_weights}: wanted three numbers from 0 on, of yx, zx and zy")
        if sum(w > 0 for w in self.view_weights) < 2:
            raise SettingsError(
                f"view weights {self.view_weights}: wanted at least two above 0, for one view alone knows nothing of "
                "the flow across its planes"
            )
        if len(self.smooth) != 3 or not all(0 <= s <= 100 for s in self.smooth):
            raise SettingsError(f"flow smoothing {self.smooth}: wanted three sigmas z, y, x from 0 to 100 voxels")
        if self.precision not in ("float32", "bfloat16"):
            raise SettingsError(f"precision {self.precision!r}: wanted 'float32' or 'bfloat16'")

    @property
    def shown(self) -> tuple[int, ...]:
        """The views of a stack that are run."""
        return tuple(view for view, weight in enumerate(self.view_weights) if weight > 0)

    def share(self, component: int, view: int, run: tuple[int, ...]) -> float:
        """The factor of what `view` says of `component` (0, 1, 2: flow along z, y, x; 3: logit) when views `run` run.

        Averaged, the factors of a component add up to 1; summed, to the number of views that know it.

        >>> FlowSettings(view_weights=(2, 1, 1)).share(3, 0, (0, 1, 2))
        0.5
        >>> FlowSettings(views="sum").share(1, 0, (0, 1, 2))
        1.0
        """
        known = [v for v in run if component in (3, *VIEWS[v][1:])]
        total = sum(self.view_weights[v] for v in known)
        average = self.view_weights[view] / total
        return average if self.views == "average" else average * len(known)
