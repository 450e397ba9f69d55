"""Synthetic images at random, as wide as microscopes differ: what networks are trained on."""

from __future__ import annotations

import numpy as np

from bigcell.core.axes import Zyx
from bigcell.synthetic.kinds import KINDS, Kind, check_kind
from bigcell.synthetic.look import Backdrop, Camera, Light, Look, Optics, PhaseContrast, Stain
from bigcell.synthetic.render import Triple
from bigcell.synthetic.sample import SyntheticVolume, sample_volume
from bigcell.synthetic.spindles import Spindles
from bigcell.synthetic.tissue import Tissue

RANGES: dict[str, tuple[float, float]] = {
    "diameter": (14.0, 22.0),
    "noise": (0.3, 5.0),
    "blur": (0.02, 0.07),
    "blur_z": (1.2, 4.0),
    "haze": (0.0, 0.6),
    "cone": (0.0, 0.6),
    "cone_slope": (0.3, 0.9),
    "cone_depth": (0.4, 2.0),
    "attenuation": (0.0, 0.15),
    "bleaching": (0.0, 0.5),
    "stripes": (0.0, 0.4),
    "level": (60.0, 250.0),
    "uneven": (0.0, 0.4),
    "debris": (0.0, 0.8),
    "debris_size": (0.08, 0.5),
    "debris_level": (0.1, 0.5),
    "glow": (0.0, 0.3),
    "glow_level": (0.1, 0.4),
    "lines": (0.0, 1.0),
    "hot": (0.0, 0.0005),
    "spread": (0.1, 0.45),
    "filled": (0.1, 1.0),
    "irregularity": (0.1, 0.9),
    "elongation": (1.0, 1.8),
    "gap": (0.0, 0.08),
    "variety": (0.05, 0.3),
    "patchy": (0.0, 0.8),
}
"""From where to where settings vary; a defect that is not always there is 0 elsewhere."""
STEPS = (1.0, 1.0, 1.5, 2.0, 3.0)
"""How many times longer in z voxels are, each as likely."""
DEPTH, SIDE = 112, 160
"""Voxels along z (of cubic voxels), and along y and x, of a volume whose extent is not given."""


def random_sample(
    kind: Kind, seed: int, *, extent: Zyx | None = None, diameter: float | None = None, spacing: Triple | None = None
) -> SyntheticVolume:
    """A random image of `kind`: "nuclei", "cytoplasm", "membrane" (volumes) or "spindly" (planes).

    Everything that is not given varies within `RANGES`; the same arguments give the same voxels. Nuclei have one
    channel and come dense and sparse, in haze, out-of-focus light and debris; cytoplasm and membrane have two, tightly
    packed; spindly cells are dark with a bright halo, as in phase contrast.
    """
    check_kind(kind)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    size = diameter if diameter is not None else _between("diameter", rng)
    z = 1.0 if kind == "spindly" else float(rng.choice(STEPS))
    step = spacing or (z, 1.0, 1.0)
    wide = (1, SIDE, SIDE) if kind == "spindly" else (int(np.ceil(DEPTH * step[2] / step[0])), SIDE, SIDE)
    look, tissue = random_look(kind, rng), random_tissue(kind, rng)
    return sample_volume(extent or wide, diameter=size, spacing=step, seed=seed, look=look, tissue=tissue)


def random_tissue(kind: Kind, rng: np.random.Generator) -> Tissue | Spindles:
    """How cells of `kind` might lie."""
    check_kind(kind)
    if kind == "spindly":
        return Spindles(
            length=rng.uniform(4, 14),
            taper=rng.uniform(0.4, 0.9),
            bulge=rng.uniform(0.2, 0.9),
            bend=rng.uniform(0.2, 1.2),
            branches=rng.uniform(0, 2),
            aligned=rng.uniform(0, 0.9),
            filled=rng.uniform(0.1, 0.7),
            variety=_between("variety", rng),
        )
    sparse = kind == "nuclei"
    return Tissue(
        irregularity=_between("irregularity", rng),
        elongation=_between("elongation", rng),
        filled=rng.uniform(0.1, 0.95) if sparse else rng.uniform(0.75, 1.0),
        gap=_between("gap", rng) * sparse,
        variety=_between("variety", rng),
        patchy=_maybe("patchy", 0.5 * sparse, rng),
    )


def random_look(kind: Kind, rng: np.random.Generator) -> Look:
    """How an image of `kind` might look."""
    check_kind(kind)
    stain = random_stain(kind, rng)
    if kind == "spindly":
        return _phase_look(stain, rng)
    nuclear = kind == "nuclei"
    second = None if nuclear else random_stain("nuclei", rng)
    return Look(stain, second, _optics(nuclear, rng), _light(rng), _backdrop(nuclear, rng), _camera(rng, _noise(rng)))


def random_stain(kind: Kind, rng: np.random.Generator) -> Stain:
    """A dye of `kind`: dark seams, bright membranes, nuclei, or what darkens long cells."""
    check_kind(kind)
    spread, grain = _between("spread", rng), rng.uniform(0.07, 0.25)
    if kind == "membrane":
        rim = rng.uniform(500, 1500)
        body, width = rim * rng.uniform(0.05, 0.5), rng.uniform(0.04, 0.1)
        return Stain("cells", body, rim, width, rng.uniform(0.3, 1), rng.uniform(0.1, 0.4), grain, spread)
    if kind == "nuclei":
        body = rng.uniform(300, 1500)
        return Stain("nuclei", body, body * rng.uniform(0.4, 0.95), 0.06, 1.0, rng.uniform(0.1, 0.5), grain, spread)
    if kind == "spindly":
        body = rng.uniform(150, 600)
        rim, width = body * rng.uniform(0.2, 1.2), rng.uniform(0.02, 0.06)
        return Stain("cells", body, rim, width, rng.uniform(0.2, 1.2), rng.uniform(0.1, 0.6), grain, spread)
    body = rng.uniform(400, 1500)
    rim, width = body * rng.uniform(0.1, 0.7), rng.uniform(0.05, 0.12)
    return Stain("cells", body, rim, width, rng.uniform(0.3, 1.1), rng.uniform(0.05, 0.35), grain, spread)


def _phase_look(stain: Stain, rng: np.random.Generator) -> Look:
    """Phase contrast: a bright, even background and little noise."""
    size = rng.uniform(0.08, 0.3)
    backdrop = Backdrop(rng.uniform(800, 2000), rng.uniform(0, 0.15), _maybe("debris", 0.6, rng), size, 0.5)
    phase = PhaseContrast(halo=rng.uniform(0.7, 1.7), width=rng.uniform(0.1, 0.35))
    optics = Optics(_between("blur", rng))
    return Look(stain, None, optics, Light(rng.uniform(0.02, 0.1)), backdrop, _camera(rng, rng.uniform(0.1, 1)), phase)


def _optics(nuclear: bool, rng: np.random.Generator) -> Optics:
    often = 0.6 if nuclear else 0.25
    return Optics(
        blur=_between("blur", rng),
        blur_z=_between("blur_z", rng),
        haze=_maybe("haze", 0.7 if nuclear else 0.3, rng),
        cone=_maybe("cone", often, rng),
        cone_slope=_between("cone_slope", rng),
        cone_depth=_between("cone_depth", rng),
    )


def _light(rng: np.random.Generator) -> Light:
    return Light(
        uneven=rng.uniform(0, 0.2),
        attenuation=_maybe("attenuation", 0.3, rng),
        bleaching=_maybe("bleaching", 0.2, rng),
        stripes=_maybe("stripes", 0.15, rng),
        stripe_width=rng.uniform(0.08, 0.4),
        stripe_axis="x" if rng.random() < 0.5 else "y",
    )


def _backdrop(nuclear: bool, rng: np.random.Generator) -> Backdrop:
    return Backdrop(
        level=_between("level", rng),
        uneven=_maybe("uneven", 0.4, rng),
        debris=_maybe("debris", 0.4 if nuclear else 0.2, rng),
        debris_size=_between("debris_size", rng),
        debris_level=_between("debris_level", rng),
        glow=_maybe("glow", 0.3 if nuclear else 0.1, rng),
        glow_level=_between("glow_level", rng),
    )


def _camera(rng: np.random.Generator, noise: float) -> Camera:
    return Camera(noise, _maybe("lines", 0.2, rng), _maybe("hot", 0.2, rng))


def _noise(rng: np.random.Generator) -> float:
    """Each factor between the ends as likely as any other."""
    return float(np.exp(rng.uniform(*np.log(RANGES["noise"]))))


def _between(name: str, rng: np.random.Generator) -> float:
    return float(rng.uniform(*RANGES[name]))


def _maybe(name: str, chance: float, rng: np.random.Generator) -> float:
    """A defect that is there with a `chance`; both numbers are always drawn, so that what follows does not depend."""
    size, there = _between(name, rng), rng.random() < chance
    return size if there else 0.0
