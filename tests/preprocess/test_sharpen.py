from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bigcell.preprocess.sharpen import reach, smooth_sharpen

radii = st.sampled_from([(0.0, 1.0), (2.0, 0.0), (2.5, 0.8), (6.0, 2.0)])


@settings(max_examples=60)
@given(st.tuples(st.integers(1, 2), st.integers(1, 40), st.integers(1, 40)), radii, st.data())
def test_a_window_with_its_halo_gives_the_bits_of_the_whole(
    extent: tuple[int, int, int], both: tuple[float, float], data: st.DataObject
) -> None:
    sharpen, smooth = both
    image = np.random.default_rng(0).gamma(2, 300, extent).astype(np.uint16)
    whole = smooth_sharpen(image, sharpen_radius=sharpen, smooth_radius=smooth)
    halo = reach(sharpen, smooth)
    core, window = [], []
    for n in extent[1:]:
        a = data.draw(st.integers(0, n - 1))
        b = data.draw(st.integers(a + 1, n))
        low = max(0, a - halo)
        window.append(slice(low, min(n, b + halo)))
        core.append((slice(a, b), slice(a - low, b - low)))
    part = smooth_sharpen(image[:, window[0], window[1]], sharpen_radius=sharpen, smooth_radius=smooth)
    assert np.array_equal(part[:, core[0][1], core[1][1]], whole[:, core[0][0], core[1][0]])


def test_it_is_a_gaussian_less_a_wider_one() -> None:
    image = np.random.default_rng(0).random((3, 50, 61))
    for sharpen, smooth in ((0.0, 2.0), (5.0, 1.5), (4.0, 0.0)):
        plain = gaussian_filter(image, (0, smooth, smooth)) if smooth else image
        if sharpen:
            plain = plain - gaussian_filter(image, (0, sharpen, sharpen))
        found = smooth_sharpen(image, sharpen_radius=sharpen, smooth_radius=smooth)
        np.testing.assert_allclose(found, plain, atol=2e-6)


def test_a_spot_stays_where_it_is() -> None:
    image = np.zeros((1, 41, 41), np.float32)
    image[0, 20, 20] = 1
    found = smooth_sharpen(image, sharpen_radius=5, smooth_radius=2)[0]
    assert np.unravel_index(found.argmax(), found.shape) == (20, 20)
    assert np.array_equal(found, found.T)
    assert np.allclose(found, found[::-1, ::-1])


def test_nothing_asked_is_nothing_done() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert np.array_equal(smooth_sharpen(image), image)
