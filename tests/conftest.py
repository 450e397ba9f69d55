"""Fixtures: small OME-Zarr stores of flows and images, written with plain zarr; a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, settings

from bigcell.core.box import Box
from bigcell.testing.flows import FlowLattice

# How long an example takes, or is made, says something about the machine. The same examples on every machine; others
# with `./scripts/test --hypothesis-profile explore`.
_ANYWHERE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("explore", **_ANYWHERE)
settings.register_profile("same", **_ANYWHERE, derandomize=True)
settings.load_profile("same")

WriteStore = Callable[..., Path]
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]


def write_store(
    path: Path, array: np.ndarray, *, axes: str = "czyx", version: str = "0.5", levels: int = 1, spacing: float = 1.0
) -> Path:
    """An OME-Zarr image of `array`, each further level every second voxel of y and x."""
    modern = version == "0.5"
    group = zarr.create_group(path, zarr_format=3 if modern else 2)
    datasets = []
    for level in range(levels):
        step = 2**level
        values = array[..., ::step, ::step]
        data = group.create_array(
            str(level),
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(min(n, 32) for n in values.shape),
            chunk_key_encoding={"name": "default" if modern else "v2", "separator": "/"},
            **({"dimension_names": list(axes)} if modern else {}),
        )
        data[...] = values
        scale = [1.0 if a in "tc" else spacing * (step if a in "yx" else 1) for a in axes]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    kinds = {"t": "time", "c": "channel"}
    entries = [
        {"name": a, "type": kinds.get(a, "space"), **({} if a in kinds else {"unit": "micrometer"})} for a in axes
    ]
    multiscales = [{"name": path.name, "axes": entries, "datasets": datasets}]
    if modern:
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = [{**multiscales[0], "version": "0.4"}]
    return path


@pytest.fixture
def store() -> WriteStore:
    return write_store


@pytest.fixture
def write_labels() -> WriteStore:
    """(path, labels) -> an OME-Zarr label image; with `names`, an image that has the labels under each of them."""

    def write(path: Path, labels: np.ndarray, *, names: tuple[str, ...] = (), version: str = "0.5") -> Path:
        write_store(path, labels, axes="zyx", version=version)
        for name in names:
            write_store(path / "labels" / name, labels, axes="zyx", version=version)
        if names:
            group = zarr.open_group(path / "labels", mode="a", zarr_format=3 if version == "0.5" else 2)
            group.attrs.update({"ome": {"labels": list(names)}} if version == "0.5" else {"labels": list(names)})
        return path

    return write


@pytest.fixture
def lattice() -> FlowLattice:
    """Some eighty touching cells."""
    return FlowLattice((36, 60, 68), diameter=13, noise=0.5)


@pytest.fixture
def flow_store(tmp_path: Path, lattice: FlowLattice) -> Path:
    return write_store(tmp_path / "flows.zarr", lattice.read(Box.of(lattice.extent)), levels=2, spacing=0.5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, which also draws what needs a graphics card."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: ./scripts/browser")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: ./scripts/browser")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield running
        running.close()
