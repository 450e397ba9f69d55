"""The former home of synthetic volumes gives what it always gave."""

from __future__ import annotations

import numpy as np

from bigcell import synthetic
from bigcell.testing.synthetic import Look, Tissue, sample_volume

MEANS = (421.00, 306.49)


def test_the_old_names_and_numbers_give_the_same_voxels() -> None:
    assert Look() == synthetic.Look()
    assert Look(noise=3.0).camera.noise == 3.0
    made = sample_volume((1, 40, 40), look=Look(500, 90, 0.1, 0.8, 0.3, 0.4, 200, 3, 0.05, 3, 0.5), tissue=Tissue(0.2))
    assert np.allclose(made.image.mean((1, 2, 3)), MEANS, rtol=5e-3)
