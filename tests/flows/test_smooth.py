from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bigcell.core.box import Box
from bigcell.flows.smooth import smooth_flows, smoothing_window

sigmas = st.tuples(*[st.sampled_from([0.0, 0.4, 1.0, 2.5])] * 3)


def volume(extent: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(-4096, 4097, (4, *extent)).astype(np.int16)


@given(st.tuples(*[st.integers(1, 24)] * 3), sigmas, st.data())
@settings(max_examples=40)
def test_a_window_has_the_bits_of_the_whole(extent, sigma, data) -> None:  # type: ignore[no-untyped-def]
    flows = volume(extent)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in extent)
    window = Box(start, tuple(data.draw(st.integers(s + 1, n)) for s, n in zip(start, extent, strict=True)))
    source = smoothing_window(window, extent, sigma)
    part = smooth_flows(flows[(slice(None), *source.slices)], source, window, sigma)
    whole = smooth_flows(flows, Box.of(extent), Box.of(extent), sigma)
    assert np.array_equal(part, whole[(slice(None), *window.slices)])


@pytest.mark.parametrize("sigma", [(1.0, 1.0, 1.0), (2.0, 0.0, 0.7)])
def test_it_is_the_gaussian_filter_of_the_flows_alone(sigma: tuple[float, float, float]) -> None:
    flows = volume((9, 20, 17))
    box = Box.of((9, 20, 17))
    out = smooth_flows(flows, box, box, sigma)
    want = np.rint(gaussian_filter(flows[:3].astype(np.float64), (0, *sigma)))
    assert np.array_equal(out[:3], want)
    assert np.array_equal(out[3], flows[3])
    assert not np.array_equal(out[:3], flows[:3])
