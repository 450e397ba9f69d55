"""scripts/try_package.py without the building: what it tries, and with which packages."""

from __future__ import annotations

import doctest

import pytest

from scripts import try_package


def test_its_examples_hold() -> None:
    assert doctest.testmod(try_package).failed == 0


def test_every_dependency_has_a_lowest_version() -> None:
    constraints = try_package.lowest(try_package.core_dependencies())
    assert len(constraints) == len(try_package.core_dependencies()) - 1
    assert all("==" in line for line in constraints)


def test_a_dependency_without_one_is_named() -> None:
    with pytest.raises(ValueError, match=r"llvmlite in pyproject\.toml has no lowest version"):
        try_package.lowest(["numpy>=2", "llvmlite"])


def test_one_python_is_tried_with_both_kinds_of_packages() -> None:
    assert [trial.packages for trial in try_package.trials(["3.12"])] == ["lowest", "newest"]


def test_a_package_without_types_is_refused() -> None:
    try_package.check_types('note: Revealed type is "def (x: str) -> bigcell.engine.planning.plan.Plan"')
    with pytest.raises(SystemExit, match="does not see"):
        try_package.check_types('typed.py:1: error: Skipping analyzing "bigcell": module is installed, but missing ...')


def test_a_command_that_fails_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(try_package.subprocess.CalledProcessError):
        try_package.call(["sh", "-c", "echo why; exit 3"], quiet=True)
    assert capsys.readouterr().out == "why\n"
