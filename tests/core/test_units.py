"""Units of length in the spellings of OME-XML, OME-Zarr, ImageJ and people; what is no length has no size."""

from __future__ import annotations

import pytest

from bigcell.core.units import um_per

OME_XML = {
    "Ym": 1e30, "Zm": 1e27, "Em": 1e24, "Pm": 1e21, "Tm": 1e18, "Gm": 1e15, "Mm": 1e12, "km": 1e9, "hm": 1e8,
    "dam": 1e7, "m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "µm": 1.0, "nm": 1e-3, "pm": 1e-6, "fm": 1e-9, "am": 1e-12,
    "zm": 1e-15, "ym": 1e-18, "Å": 1e-4, "thou": 25.4, "li": 25400 / 12, "in": 25400.0, "ft": 304800.0, "yd": 914400.0,
    "mi": 1609344000.0, "ua": 1.495978707e17, "ly": 9.4607304725808e21, "pc": 3.0856775814913673e22, "pt": 25400 / 72,
}  # fmt: skip
OME_ZARR = {
    "angstrom": 1e-4, "attometer": 1e-12, "centimeter": 1e4, "decimeter": 1e5, "exameter": 1e24, "femtometer": 1e-9,
    "foot": 304800.0, "gigameter": 1e15, "hectometer": 1e8, "inch": 25400.0, "kilometer": 1e9, "megameter": 1e12,
    "meter": 1e6, "micrometer": 1.0, "mile": 1609344000.0, "millimeter": 1e3, "nanometer": 1e-3,
    "parsec": 3.0856775814913673e22, "petameter": 1e21, "picometer": 1e-6, "terameter": 1e18, "yard": 914400.0,
    "yoctometer": 1e-18, "yottameter": 1e30, "zeptometer": 1e-15, "zettameter": 1e27,
}  # fmt: skip
TYPED = {
    "um": 1.0, "\u00b5m": 1.0, "\u03bcm": 1.0, "\\u00B5m": 1.0, "\u00c2\u00b5m": 1.0, "micron": 1.0, "microns": 1.0,
    "Micrometers": 1.0, "micrometre": 1.0, "nanometres": 1e-3, " NM ": 1e-3, "UM": 1.0, "MM": 1e3, "inches": 25400.0,
    '"': 25400.0, "feet": 304800.0, "\u212b": 1e-4, "Angstroms": 1e-4,
}  # fmt: skip


@pytest.mark.parametrize(("unit", "um"), [*OME_XML.items(), *OME_ZARR.items(), *TYPED.items()])
def test_lengths(unit: str, um: float) -> None:
    assert um_per(unit) == pytest.approx(um, rel=1e-12)


@pytest.mark.parametrize(
    "unit", [None, "", " ", "pixel", "pixels", "reference frame", "second", "s", "um2", "xm", "es"]
)
def test_what_is_no_length(unit: str | None) -> None:
    assert um_per(unit) is None
