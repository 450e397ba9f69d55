"""scripts/try_models.py on the names that cost little: it loads what it should and notices what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import try_models

SCRIPTS = Path(try_models.__file__).parent


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("BIGCELL_MODELS", "CELLPOSE_LOCAL_MODELS_PATH"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.mark.parametrize(
    ("name", "loaded"),
    [
        ("nuclei", "by name, its own weights"),
        ("CPx", "by name"),
        ("cyto2", "by name with its size model"),
        ("nuclei_cp1", "by path (by name: refused)"),
    ],
)
def test_a_name_is_loaded_as_it_may_be(name: str, loaded: str) -> None:
    row = try_models.tried(name)
    assert (row.loaded, row.kind, row.tile, row.out) == (loaded, "CPnet", 64, "1x3x64x64")


def test_a_hash_that_is_not_held_to_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigcell.networks.source.check_sha256", lambda *_: None)
    with pytest.raises(AssertionError, match="loaded by its name"):
        try_models.tried("nuclei_cp1")


def test_a_network_that_answers_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigcell.flows.runner.Runner.__call__", lambda self, tiles: tiles.new_zeros(1, 3, 64, 64))
    with pytest.raises(AssertionError, match="spread 0"):
        try_models.tried("CPx")


def test_it_does_not_take_the_repository_for_the_wheel() -> None:
    with pytest.raises(SystemExit, match="not from the wheel"):
        try_models.inside(["nuclei"])
