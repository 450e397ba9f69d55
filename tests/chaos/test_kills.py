"""Workers, driver or both are killed (-9) at random moments: what comes out is what an undisturbed run makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bigcell
from bigcell.core.box import Box
from bigcell.engine.runtime.events import Event, TaskDone
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import sample_volume
from bigcell.testing.files import tree_of
from bigcell.testing.flows import FlowLattice

Disturb = Callable[..., Any]


def flows(folder: Path, store: Callable[..., Path]) -> dict[str, Any]:
    """Exact flows of some eighty cells, in 12 blocks."""
    lattice = FlowLattice((36, 60, 68), diameter=13, noise=0.5)
    path = store(folder / "flows.zarr", lattice.read(Box.of(lattice.extent)), levels=2, spacing=0.5)
    return {"flows": str(path), "block": (18, 30, 23)}


def image(folder: Path, store: Callable[..., Path]) -> dict[str, Any]:
    """A small image for the default model, in 12 blocks; its flows are kept."""
    made = sample_volume((12, 40, 48), diameter=14, seed=3)
    path = write_image(folder / "image.zarr", made.image, chunk=(8, 16, 16), shard=(8, 16, 16))
    kept = str(folder / "kept.zarr")
    return {"image": str(path), "diameter": 14, "tile": 48, "block": (6, 20, 16), "keep_flows": kept}


INPUTS = {"flows": flows, "image": image}


def check(kind: str, seed: int, cluster: str, place: Any, disturb: Disturb, kills: int = 3) -> None:
    """One run undisturbed, one disturbed under the same paths; the trees of both are equal."""

    def made() -> dict[str, bytes]:
        return {**tree_of(place.out), **{f"kept {k}": v for k, v in tree_of(place.folder / "kept.zarr").items()}}

    done = list[Event]()
    bigcell.segment(**place.arguments, output=place.out, workers=2, cluster="serial", listener=done.append)
    plain, tasks = made(), sum(isinstance(event, TaskDone) for event in done)
    assert tasks > 60
    place.tidy()
    story = disturb(place, seed, tasks, cluster=cluster, kills=kills)
    said = f"{kind} {cluster} seed {seed}: {tasks} tasks, {len(story.tasks)} drivers, killed {', '.join(story.kills)}"
    print(said)  # noqa: T201 - the seed, for whoever repeats it
    left = made()
    assert left.keys() == plain.keys(), said
    assert [name for name in plain if left[name] != plain[name]] == [], said
    assert story.repeated == [], said
    assert not place.work.exists(), said


@pytest.mark.parametrize(("kind", "seed", "cluster"), [("flows", 100, "processes"), ("image", 101, "local")])
def test_two_disturbed_runs(
    tmp_path: Path, store: Callable[..., Path], new_place: Any, disturbed: Disturb, kind: str, seed: int,
    cluster: str,
) -> None:  # fmt: skip
    place = new_place(tmp_path, INPUTS[kind](tmp_path, store))
    check(kind, seed, cluster, place, disturbed, kills=2)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cluster", ["processes", "local"])
@pytest.mark.parametrize("kind", ["flows", "image"])
def test_twenty_disturbed_runs(
    tmp_path: Path, store: Callable[..., Path], new_place: Any, disturbed: Disturb, kind: str, seed: int,
    cluster: str,
) -> None:  # fmt: skip
    place = new_place(tmp_path, INPUTS[kind](tmp_path, store))
    check(kind, seed, cluster, place, disturbed)
