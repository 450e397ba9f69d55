"""Size models: read without running anything, and the diameter that Cellpose computes."""

from __future__ import annotations

import contextlib
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from bigcell.core.errors import InputError, ModelError
from bigcell.core.volume import Array
from bigcell.networks.size import SizeModel, estimate_diameter, read_size_model

RNG = np.random.default_rng(5)
PARTS = {"A": RNG.normal(size=6), "smean": 0.3 * RNG.normal(size=6), "diam_mean": 30.0, "ymean": np.float64(0.2)}


def saved(path: Path, value: object, protocol: int | None = None) -> Path:
    """`value` as np.save leaves it; with a `protocol`, as older versions of numpy and Python did."""
    if protocol is None:
        np.save(path, np.array(value, dtype=object), allow_pickle=True)
        return path
    boxed = np.empty((), object)
    boxed[()] = value
    content = pickle.dumps(boxed, protocol=protocol)
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(content.replace(b"numpy._core", b"numpy.core") if protocol < 4 else content)
    return path


@pytest.mark.parametrize("protocol", [None, 2, 3, 4])
def test_a_size_model_is_read_as_it_was_written(protocol: int | None, tmp_path: Path) -> None:
    model = read_size_model(saved(tmp_path / "m_size.npy", PARTS, protocol))
    assert np.array_equal(model.slope, PARTS["A"])
    assert np.array_equal(model.style_mean, PARTS["smean"])
    assert (model.offset, model.diam_mean) == (0.2, 30.0)


def test_single_precision_and_rows_are_read(tmp_path: Path) -> None:
    parts = PARTS | {"A": PARTS["A"].astype(np.float32)[None], "diam_mean": np.array([17], np.int64)}  # type: ignore
    model = read_size_model(saved(tmp_path / "m_size.npy", parts))
    assert np.allclose(model.slope, PARTS["A"], rtol=1e-6)
    assert model.diam_mean == 17


def cellpose_diameter(parts: dict[str, Any], styles: Array) -> float:
    """What Cellpose 3.1 computes of the styles of an image's tiles, in its own words."""
    style = styles.sum(axis=0)
    style = style / (style**2).sum() ** 0.5
    return max(5.0, np.exp(parts["A"] @ (style - parts["smean"]).T + np.log(parts["diam_mean"]) + parts["ymean"]))


def test_the_diameter_is_cellposes(tmp_path: Path) -> None:
    model = read_size_model(saved(tmp_path / "m_size.npy", PARTS))
    for tiles in (1, 3):
        styles = RNG.normal(size=(tiles, 6))
        styles /= np.linalg.norm(styles, axis=1, keepdims=True)
        assert estimate_diameter(model, styles) == pytest.approx(cellpose_diameter(PARTS, styles), rel=1e-12)
    assert estimate_diameter(model, styles[0]) == estimate_diameter(model, styles[:1])
    near = model.style_mean / np.linalg.norm(model.style_mean)
    assert estimate_diameter(model, near, diam_mean=60) == pytest.approx(2 * estimate_diameter(model, near))


def test_the_least_and_no_answer() -> None:
    model = SizeModel(np.array([-50.0, 0.0]), np.zeros(2), 0.0, 30.0)
    assert estimate_diameter(model, np.array([1.0, 0.0])) == 5
    assert estimate_diameter(model, np.array([0.0, 0.0])) == 30, "a tile without any style"
    assert estimate_diameter(SizeModel(np.array([1e5]), np.zeros(1), 0.0, 17.0), np.array([1.0])) == 17


@pytest.mark.parametrize("shape", [(5,), (0, 6), (2, 2, 6), (3, 5)])
def test_styles_of_another_network_are_refused(shape: tuple[int, ...]) -> None:
    model = SizeModel(np.zeros(6), np.zeros(6), 0.0, 30.0)
    with pytest.raises(InputError, match=r"wanted \(tiles, 6\)"):
        estimate_diameter(model, np.ones(shape))


class Explosive:
    """Pickles to a call that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return (Path.touch, (self.path,))


def test_no_code_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for number, value in enumerate((Explosive(mark), PARTS | {"A": Explosive(mark)})):
        for protocol in (2, 4):
            path = saved(tmp_path / f"{number}{protocol}_size.npy", value, protocol)
            with pytest.raises(ModelError, match="might run code"):
                read_size_model(path)
    assert not mark.exists()


def test_functions_that_are_allowed_cannot_be_changed(tmp_path: Path) -> None:
    """BUILD with a pair sets attributes on whatever stands below it."""
    harm = b"cnumpy.core.multiarray\nscalar\n(N}(V__doc__\nVharmed\nutb."
    path = tmp_path / "m_size.npy"
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(harm)
    with pytest.raises(ModelError, match="changes a function"):
        read_size_model(path)


def test_a_memo_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m_size.npy"
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(b"Nr\xff\xff\xff\x7f.")
    with pytest.raises(ModelError, match="more objects than"):
        read_size_model(path)


@pytest.mark.parametrize(
    "value",
    [
        3,
        [1, 2],
        {"A": 3},
        PARTS | {"A": np.zeros(4)},
        PARTS | {"A": np.full(6, np.nan)},
        PARTS | {"diam_mean": -1.0},
        PARTS | {"ymean": np.zeros(3)},
        PARTS | {"A": np.array(["a"] * 6)},
        PARTS | {"A": np.array([{}] * 6)},
        PARTS | {"smean": "text"},
    ],
)
def test_what_is_not_a_size_model_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="m_size"):
        read_size_model(saved(tmp_path / "m_size.npy", value, 4))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m_size.npy"
    with pytest.raises(ModelError, match="is not a file"):
        read_size_model(path)
    np.save(path, np.zeros(3))
    with pytest.raises(ModelError, match="wanted one dict"):
        read_size_model(path)
    for content in (b"", b"nothing", bytes(5 << 20)):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="m_size"):
            read_size_model(path)


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_file_is_refused_or_read_but_nothing_else(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    path = saved(tmp_path / "m_size.npy", PARTS, rng.choice((2, 3, 4)))
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 2, 9))):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content[: rng.choice((len(content), rng.randrange(len(content))))])
    with contextlib.suppress(ModelError):
        read_size_model(path)
