"""The former home of `bigcell.synthetic`: its names, and `Look` with all numbers side by side."""

from __future__ import annotations

from dataclasses import replace

from bigcell import synthetic
from bigcell.synthetic import Backdrop, Camera, Optics, Stain, SyntheticVolume, Tissue, sample_volume

__all__ = ["Look", "SyntheticVolume", "Tissue", "sample_volume"]


def Look(  # noqa: N802 - it was a class
    body: float = 700.0,
    rim: float = 250.0,
    rim_width: float = 0.08,
    nucleus: float = 0.6,
    texture: float = 0.2,
    spread: float = 0.25,
    background: float = 100.0,
    noise: float = 1.0,
    blur: float = 0.03,
    blur_z: float = 2.0,
    haze: float = 0.0,
) -> synthetic.Look:
    """The look of `bigcell.synthetic` that gives the voxels which these numbers always gave."""
    cells = Stain("cells", body, rim, rim_width, nucleus, texture, spread=spread)
    nuclei = replace(cells, name="nuclei", rim=None, nucleus=1.0)
    optics, backdrop = Optics(blur, blur_z, haze=haze), Backdrop(background)
    return synthetic.Look(cells, nuclei, optics, backdrop=backdrop, camera=Camera(noise))
