"""Weights from a seed: the same numbers for ever, each entry on its own, usable by a network."""

from __future__ import annotations

import numpy as np

from bigcell.testing.weights import weights_from_seed

SHAPES = {"a.weight": (8, 4, 3, 3), "b.weight": (8,), "b.running_var": (8,), "b.num_batches_tracked": ()}


def test_the_numbers_stay_what_they_are() -> None:
    found = weights_from_seed({"a.weight": (2, 3), "pos": (1, 2)}, 3)
    assert found["a.weight"].dtype == np.float32
    np.testing.assert_array_equal(found["pos"], weights_from_seed({"pos": (1, 2)}, 3)["pos"])
    np.testing.assert_allclose(found["pos"], [[0.0046466, 0.00708106]], rtol=1e-5)


def test_entries_depend_on_name_and_seed() -> None:
    one, other = weights_from_seed({"a": (9,), "b": (9,)}, 1), weights_from_seed({"a": (9,)}, 2)
    assert not np.array_equal(one["a"], one["b"])
    assert not np.array_equal(one["a"], other["a"])


def test_each_kind_has_its_spread() -> None:
    found = weights_from_seed(SHAPES)
    assert abs(found["a.weight"].std() * np.sqrt(36) - 1) < 0.1  # signals keep their size
    assert (found["b.running_var"] > 0.5).all()
    assert found["b.num_batches_tracked"] == 0
    assert found["b.num_batches_tracked"].dtype == np.int64
