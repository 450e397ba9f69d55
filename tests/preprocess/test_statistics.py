from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bigcell.core.errors import InputError
from bigcell.preprocess import statistics as s

dtypes = st.sampled_from(["u1", "u2", "i2", "i4", "u4", "f4"])


@settings(max_examples=150, deadline=None)
@given(dtypes.flatmap(lambda t: hnp.arrays(
    t, st.integers(1, 60), elements=hnp.from_dtype(np.dtype(t), allow_nan=False, allow_infinity=False))),
    st.sampled_from([(1.0, 99.0), (0.0, 100.0), (30.0, 50.0)]), st.integers(1, 5))  # fmt: skip
def test_percentiles_of_parts_are_those_of_the_whole(
    values: np.ndarray, percentiles: tuple[float, float], pieces: int
) -> None:
    parts = np.array_split(values, pieces)
    upper = sum(s.count_upper(p) for p in parts)
    bins = s.wanted_bins(upper, percentiles)
    lower = {u: sum(s.count_lower(p, bins)[u] for p in parts) for u in bins} if s.is_wide(values.dtype) else {}
    found = s.read_range(upper, lower, values.dtype, percentiles)
    low, high = np.percentile(values, percentiles, method="inverted_cdf")
    assert (found.low, found.high) == (float(low), float(high))
    assert (found.minimum, found.maximum) == (float(values.min()), float(values.max()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_named(bad: float) -> None:
    image = np.zeros((1, 2, 3, 4), np.float32)
    image[0, 1, 2, 3] = bad
    with pytest.raises(InputError, match=r"at voxel \(0, 1, 2, 3\)"):
        s.count_upper(image)


def test_integers_beyond_32_bits_are_refused() -> None:
    with pytest.raises(InputError, match="fit 32 bits"):
        s.count_upper(np.array([2**40]))
