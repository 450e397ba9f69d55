"""Docstrings of public names are NumPy's kind, and name every parameter. Types stand in the signature, not here."""

from __future__ import annotations

import pytest
from numpydoc.validate import validate

import bigcell
import bigcell.testing

CHECKS = {
    *("GL02", "GL03", "GL05", "GL06", "GL07", "GL08", "GL09", "GL10"),  # sections, their names and order
    *("SS01", "SS02", "SS03", "SS04", "SS05", "SS06"),  # one line of summary
    *("PR01", "PR02", "PR03", "PR05", "PR06", "PR07", "PR10"),  # every parameter, in order, with what it is
    *("RT01", "RT03", "RT05", "YD01", "YD03"),  # what comes back
    *("SA02", "SA03", "SA04"),
}
"""What numpydoc checks here. See its documentation for what each code says."""
NAMES = [f"{module.__name__}.{name}" for module in (bigcell, bigcell.testing) for name in module.__all__]


def wrong(name: str) -> list[str]:
    return [f"{code} {words}" for code, words in validate(name)["errors"] if code in CHECKS]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_documented(name: str) -> None:
    assert wrong(name) == []


def test_a_parameter_that_is_not_documented_is_noticed() -> None:
    assert wrong("bigcell.core.volume.check_inside")[0].startswith("PR01")
