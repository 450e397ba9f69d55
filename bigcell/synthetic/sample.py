"""Volumes and planes of synthetic cells: image, exact truth, nuclei."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bigcell.core.axes import Spacing, Zyx
from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array, ArrayVolume
from bigcell.synthetic.look import Look
from bigcell.synthetic.nuclei import place_nuclei
from bigcell.synthetic.render import Scene, Triple, photograph
from bigcell.synthetic.spindles import Spindles, grow
from bigcell.synthetic.tissue import Tissue, pack, whole_cells

PLANES_PER_DIAMETER = 8
"""Planes to a diameter in the slab around a single plane whose neighbours shine into it."""


@dataclass(frozen=True)
class SyntheticVolume:
    """`image` uint16 ``(channel, z, y, x)``: cells, then nuclei, or what the look has. `labels` and `nuclei` uint32
    ``(z, y, x)``: ids 1..n of whole cells, and the same ids where their nuclei are."""

    image: Array = field(repr=False)
    labels: Array = field(repr=False)
    nuclei: Array = field(repr=False)
    spacing: Spacing
    channels: tuple[str, ...] = ("cells", "nuclei")

    @property
    def volume(self) -> ArrayVolume:
        """The image, as everything that reads volumes wants it."""
        return ArrayVolume(self.image, spacing=self.spacing, channels=self.channels)


def sample_volume(
    extent: Zyx,
    *,
    diameter: float = 20.0,
    spacing: Triple = (1.0, 1.0, 1.0),
    seed: int = 0,
    look: Look | None = None,
    tissue: Tissue | Spindles | None = None,
) -> SyntheticVolume:
    """Cells of `diameter` (in voxels along x) filling `extent` (z, y, x) voxels of `spacing` (z, y, x) µm.

    The same arguments give the same voxels. An extent of one plane gives cross-sections of cells in 3-D, of `Spindles`
    whole cells; where the look has a `cone`, cells above and below shine into it.

    >>> sample = sample_volume((1, 48, 48), diameter=12)
    >>> sample.image.shape, sample.image.dtype, int(sample.labels.max()) > 8
    ((2, 1, 48, 48), dtype('uint16'), True)
    """
    if len(extent) != 3 or min(extent) < 1 or not 1 < diameter < float("inf"):
        raise SettingsError(f"extent {extent}, diameter {diameter}: wanted three sizes from 1, and a diameter above 1")
    if not all(0 < s < float("inf") for s in spacing):
        raise SettingsError(f"spacing {spacing}: wanted three sizes of a voxel, z y x, above 0, in µm")
    look, tissue, rng = look or Look(), tissue or Tissue(), np.random.default_rng(seed)
    um, size = diameter * spacing[2], np.array(spacing)
    if extent[0] == 1 and look.optics.cone and isinstance(tissue, Tissue):
        image, labels, nuclei = _section(extent, size, um, (look, tissue), rng)
    else:
        labels, nuclei = _cells(extent, size, um, tissue, rng)
        image = photograph(Scene(labels, nuclei, size / um, um), look, rng)
    return SyntheticVolume(image, labels, nuclei, Spacing(*spacing), look.channels)


def _cells(
    extent: Zyx, size: Array, um: float, tissue: Tissue | Spindles, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Labels and nuclei, uint32 (z, y, x)."""
    if isinstance(tissue, Spindles):
        labels, _ = grow(extent, size, um, tissue, rng)
        return labels, place_nuclei(labels, size / um, rng)
    labels, depth = pack(extent, size, um, tissue, rng)
    nuclei = np.where(depth < rng.uniform(0.22, 0.34), labels, 0)
    return labels, nuclei.astype(np.uint32)


def _section(
    extent: Zyx, size: Array, um: float, settings: tuple[Look, Tissue], rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Image, labels and nuclei of the plane in the middle of a slab as thick as light comes from."""
    look, tissue = settings
    reach = int(np.ceil(PLANES_PER_DIAMETER * min(2.0, 3 * look.optics.cone_depth)))
    slab, thin = (2 * reach + 1, *extent[1:]), np.array([um / PLANES_PER_DIAMETER, *size[1:]])
    cells, inner = _cells(slab, thin, um, tissue, rng)
    image = photograph(Scene(cells, inner, thin / um, um), look, rng, plane=reach)
    labels = whole_cells(cells[reach : reach + 1].astype(np.int32), (um**2 / size[1:].prod()) ** 1.5)
    return image, labels, np.where(inner[reach : reach + 1] > 0, labels, 0).astype(np.uint32)
