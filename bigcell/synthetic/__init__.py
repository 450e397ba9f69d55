"""Synthetic images of cells with exact truth: for training, tests, examples, and to know where a model fails.

>>> from bigcell.synthetic import render, sample_volume
>>> made = sample_volume((1, 64, 64), diameter=16)
>>> render(made.labels, made.spacing).shape  # the same cells, seen in another way
(2, 1, 64, 64)
"""

from bigcell.synthetic.kinds import KINDS, Kind, look_of, tissue_of
from bigcell.synthetic.look import (
    CYTOPLASMIC,
    MEMBRANE,
    NUCLEAR,
    Backdrop,
    Camera,
    Light,
    Look,
    Optics,
    PhaseContrast,
    Stain,
)
from bigcell.synthetic.nuclei import place_nuclei
from bigcell.synthetic.random import random_look, random_sample, random_tissue
from bigcell.synthetic.render import render
from bigcell.synthetic.sample import SyntheticVolume, sample_volume
from bigcell.synthetic.spindles import Spindles
from bigcell.synthetic.tissue import Tissue

__all__ = [
    "CYTOPLASMIC",
    "KINDS",
    "MEMBRANE",
    "NUCLEAR",
    "Backdrop",
    "Camera",
    "Kind",
    "Light",
    "Look",
    "Optics",
    "PhaseContrast",
    "Spindles",
    "Stain",
    "SyntheticVolume",
    "Tissue",
    "look_of",
    "place_nuclei",
    "random_look",
    "random_sample",
    "random_tissue",
    "render",
    "sample_volume",
    "tissue_of",
]
