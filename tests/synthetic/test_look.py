"""Looks: what is no number, too small or too large is refused by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bigcell.core.errors import SettingsError
from bigcell.synthetic import Backdrop, Camera, Light, Look, Optics, PhaseContrast, Stain


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Stain(body=-1.0), "body"),
        (lambda: Stain(rim=float("nan")), "rim"),
        (lambda: Stain(grain=0.0), "grain"),
        (lambda: Optics(cone=1.5), "cone"),
        (lambda: Optics(psf_um=(1.0, 1.0)), "psf_um"),
        (lambda: Optics(psf_um=(1.0, -1.0, 1.0)), "psf_um"),
        (lambda: PhaseContrast(width=0.0), "width"),
        (lambda: Light(bleaching=2.0), "bleaching"),
        (lambda: Light(stripe_axis="z"), "stripe_axis"),
        (lambda: Backdrop(level=float("inf")), "level"),
        (lambda: Backdrop(debris=-0.1), "debris"),
        (lambda: Camera(noise=-1.0), "noise"),
        (lambda: Camera(ceiling=0), "ceiling"),
        (lambda: Look(None, None), "nothing"),
    ],
)
def test_nonsense_is_refused(make: Callable[[], object], name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*wanted"):
        make()


def test_channels_are_named_by_their_stains() -> None:
    assert Look().channels == ("cells", "nuclei")
    assert Look(Stain(name="actin"), None).channels == ("actin",)
