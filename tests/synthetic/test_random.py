"""Images at random: the same for a seed, within the ranges that are named, and not all alike."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.synthetic import KINDS, Kind, Spindles, random_sample, render, sample_volume
from bigcell.synthetic.random import RANGES, SIDE, random_look, random_tissue

OF_PHASE = {"level", "uneven", "debris_size", "noise"}
"""What has other ranges in phase contrast, where the background is bright."""
FIXED = {"cone_slope", "cone_depth", "blur_z", "glow_level", "debris_level"}


def numbers(*parts: Any) -> dict[str, float]:
    return {f.name: getattr(p, f.name) for p in parts for f in fields(p)}


@pytest.mark.parametrize("kind", KINDS)
def test_settings_stay_within_their_ranges_and_use_them(kind: Kind) -> None:
    drawn: dict[str, list[float]] = {}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        look, tissue = random_look(kind, rng), random_tissue(kind, rng)
        assert look.cells is not None
        parts: list[Any] = [look.cells, look.optics, look.backdrop, look.camera]
        if not isinstance(tissue, Spindles):
            parts += [look.light, tissue]
            assert 0 <= look.light.uneven <= 0.2
        values = numbers(*parts)
        values["uneven"] = look.backdrop.uneven
        for name in RANGES.keys() & values.keys():
            drawn.setdefault(name, []).append(values[name])
    for name, values in drawn.items():
        if kind == "spindly" and name in OF_PHASE | FIXED:
            continue
        low, high = RANGES[name]
        assert low <= min(values) <= max(values) <= high, name
        never = ("haze", "cone", "glow") if kind == "spindly" else () if kind == "nuclei" else ("gap", "patchy")
        assert name in never or max(values) > low + 0.6 * (high - low), f"{name} never comes near its end"


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_image(kind: Kind) -> None:
    extent = (1 if kind == "spindly" else 8, 48, 48)
    first, again, other = (random_sample(kind, seed, extent=extent, diameter=12.0) for seed in (7, 7, 8))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)
    assert first.image.shape == (2 if kind in ("cytoplasm", "membrane") else 1, *extent)
    assert first.image.dtype == np.uint16


def test_kinds_of_one_seed_differ() -> None:
    images = [random_sample(k, 1, extent=(1, 32, 32)).image[0] for k in KINDS]
    assert not any(np.array_equal(a, b) for i, a in enumerate(images) for b in images[:i])


@pytest.mark.parametrize("kind", ["nuclei", "cytoplasm", "membrane"])
def test_a_random_look_shows_given_cells(kind: Kind) -> None:
    labels = sample_volume((10, 40, 40), diameter=14).labels
    brighter = []
    for seed in range(5):
        cells = render(labels, look=random_look(kind, np.random.default_rng(seed)), seed=seed)[0].astype(float)
        brighter.append(cells[labels > 0].mean() > cells[labels == 0].mean())
    assert all(brighter)


def test_what_is_given_is_kept() -> None:
    made = random_sample("nuclei", 3, extent=(6, 40, 44), diameter=10.0, spacing=(2.5, 0.5, 0.5))
    assert made.labels.shape == (6, 40, 44)
    assert made.spacing.anisotropy == 5
    assert made.channels == ("nuclei",)


def test_spindly_cells_lie_in_a_plane() -> None:
    made = random_sample("spindly", 2)
    assert made.labels.shape == (1, SIDE, SIDE)
    assert made.labels.max() > 2


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="'yeast'; wanted one of nuclei"):
        random_sample("yeast", 0)  # type: ignore[arg-type]
