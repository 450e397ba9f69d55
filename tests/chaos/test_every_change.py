"""A driver is killed before each of its file-changing calls, and what comes out is what an undisturbed run makes.

The whole takes an hour (`./scripts/test --chaos`); a sample of twenty kills is part of the default suite.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("every_change.py")
SCENARIOS = ("new", "no report", "overwrite", "own", "kept", "array", "s3")
# Spread over the run, and dense where labels take their name and the work folder goes.
SAMPLE = {"overwrite": (2, 60, 130, 150, 158, 163, 168, 173, 180, 190, 200, 205), "array": (90, 160, 175, 200, 206)}


def killed(folder: Path, scenario: str, numbers: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    folder.mkdir()
    words = [sys.executable, "-W", "ignore", str(SCRIPT), str(folder), scenario, *map(str, numbers)]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads(line) for line in ended.stdout.splitlines()]


def check(kills: list[dict[str, Any]]) -> None:
    """Every kill was one, and every run ended with the same bytes, listed, and with no file too many."""
    assert [kill for kill in kills if kill["wrong"]] == []
    # The last calls of a run may come in another number from day to day: writes of several threads.
    assert sum(not kill["killed"] for kill in kills) <= 0.05 * len(kills)


@pytest.mark.parametrize("scenario", SAMPLE)
def test_killed_before_a_sample_of_changes(tmp_path: Path, scenario: str) -> None:
    check(killed(tmp_path / "runs", scenario, SAMPLE[scenario]))


@pytest.mark.chaos
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_before_every_change(tmp_path: Path, scenario: str) -> None:
    kills = killed(tmp_path / "runs", scenario)
    sys.stdout.write(f"{scenario}: {len(kills)} kills, {sum(not kill['wrong'] for kill in kills)} right\n")
    assert len(kills) > 150
    check(kills)
