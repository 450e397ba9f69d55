"""How many pixels the network is given for an image, on the reference's tiles or on ours."""

from __future__ import annotations

from bigcell.tiling.lattice import Lattice, TileSettings


def pixels(extent: tuple[int, int, int], *, parity: bool) -> int:
    """Pixels of all tiles of all views, margins and overlaps included."""
    tiles = TileSettings(size=224, overlap=0.1, layout="cellpose") if parity else TileSettings()
    lattice = Lattice(extent, tiles)
    return sum(lattice.input_voxels(view) for view in lattice.views)
