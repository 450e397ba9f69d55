"""Every option about intensities: from its name to the plan, and the promises (seamless, resume) kept with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.core.errors import InputError, SettingsError
from bigcell.engine.planning.intensity_options import intensity_settings
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.events import Notice, TaskDone
from bigcell.preprocess.normalize import NormalizeSettings
from bigcell.synthetic import sample_volume

OPTIONS = {
    "lowhigh": {"lowhigh": (300, 2500)},
    "invert": {"invert": True, "percentile": (2, 99.5)},
    "planes": {"norm3D": False},
    "tiles": {"tile_norm_blocksize": 16},
    "tiles-planes": {"tile_norm_blocksize": 16, "norm3D": False},
    "filters": {"sharpen_radius": 6, "smooth_radius": 1},
}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return sample_volume((4, 26, 34), diameter=14, seed=3).image


def voxels_of(result: bigcell.Result) -> np.ndarray:
    assert result.path is not None
    return np.asarray(zarr.open_array(result.path / "0", mode="r")[...])


@pytest.mark.parametrize("name", OPTIONS)
def test_labels_do_not_depend_on_the_blocks(image: np.ndarray, name: str) -> None:
    whole = bigcell.segment(image, model="cyto", diameter=14, tile=48, block=(4, 26, 34), **OPTIONS[name])
    parts = bigcell.segment(image, model="cyto", diameter=14, tile=48, block=(3, 17, 20), **OPTIONS[name])
    assert np.array_equal(whole.labels, parts.labels)
    if name != "invert":
        assert whole.objects > 1


@pytest.mark.parametrize(
    ("name", "stage"), [("planes", "refine_statistics"), ("tiles-planes", "statistics"), ("filters", "predict_flows")]
)
def test_a_stopped_run_goes_on_to_the_same_labels(
    tmp_path: Path, store, image: np.ndarray, name: str, stage: str
) -> None:
    path = store(tmp_path / "image.zarr", image.astype(np.float32))
    arguments = {"diameter": 14, "tile": 48, "cluster": "serial", "block": (3, 16, 34), **OPTIONS[name]}

    def stop(event: object) -> None:
        if isinstance(event, TaskDone) and event.stage == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bigcell.segment(path, labels="cells", listener=stop, **arguments)
    resumed = bigcell.resume(path, labels="cells", cluster="serial")
    undisturbed = bigcell.segment(path, labels="again", **arguments)
    assert np.array_equal(voxels_of(resumed), voxels_of(undisturbed))


def test_options_are_flat_or_cellposes_dictionary() -> None:
    wanted = NormalizeSettings(percentile=(2, 98), lowhigh=None, sharpen_radius=4, norm3D=False)
    flat = {"percentile": (2, 98), "sharpen_radius": 4, "norm3D": False, "lowhigh": None}
    assert intensity_settings(dict(flat)) == wanted
    assert intensity_settings({"normalize": flat}) == wanted
    assert intensity_settings({"normalize": {**flat, "normalize": True}}) == wanted
    assert intensity_settings({"normalize": False}).by == "nothing"


@pytest.mark.parametrize("given", [(0, 9), [0, 9], [[0, 9]], np.array([0, 9]), np.array([[0, 9]])])
def test_one_pair_of_intensities(given: object) -> None:
    assert intensity_settings({"lowhigh": given}).lowhigh == ((0, 9),)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lowhigh": 5}, "two numbers"),
        ({"lowhigh": [(1, 2), 3]}, "two numbers"),
        ({"percentile": (1, 50, 99)}, "two numbers"),
        ({"normalize": {"sharpen": 3}}, "did you mean 'sharpen_radius'"),
        ({"normalize": {"invert": True}, "invert": True}, "give it once"),
    ],
)
def test_options_that_cannot_be(wrong: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        intensity_settings(wrong)


def test_the_command_line_takes_them_all_and_the_plan_tells_them(
    tmp_path: Path, store, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigcell.api.expected_seconds", lambda plan, workers: 0.0)
    path = store(tmp_path / "image.zarr", image)
    cases = {
        "percentiles 1 and 99 of the volume": [],
        "percentiles 2 and 99.5 of each plane": ["--percentile", "2,99.5", "--no-norm3d"],
        "100 to 900, 0 to 50 become 0 to 1; inverted": ["--lowhigh", "100,900", "--lowhigh", "0,50", "--invert"],
        "smoothed with 1; less the surround of 5": ["--smooth-radius", "1", "--sharpen-radius", "5"],
        "of tiles of 100 of each plane": ["--tile-norm-blocksize", "100", "--no-norm3d", "--tile-norm-smooth3d", "2"],
        "as they are": ["--no-normalize"],
        "mean of all channels": ["--channel", "grey"],
    }
    for text, options in cases.items():
        run = CliRunner().invoke(app, ["plan", str(path), *options, "--diameter", "14"])
        assert run.exit_code == 0, run.stderr
        assert text in run.stdout


def test_grey_is_the_mean_of_all_channels_wherever_they_come_from(tmp_path: Path, store, image: np.ndarray) -> None:
    three = np.concatenate([image, image[:1] // 3])
    path = store(tmp_path / "image.zarr", three)
    stored = bigcell.segment(path, channels=["grey"], diameter=14, tile=48, cluster="serial")
    mean = three.astype(np.float32).mean(0)
    assert np.array_equal(voxels_of(stored), bigcell.segment(mean, diameter=14, tile=48, anisotropy=1).labels)
    again = bigcell.segment(three, channels=["grey"], diameter=14, tile=48, anisotropy=1)
    assert np.array_equal(again.labels, voxels_of(stored))


def test_a_colour_plane_takes_its_channels_in_any_order(tmp_path: Path, store) -> None:
    plane = sample_volume((1, 40, 44), diameter=14, seed=3).image
    colours = np.concatenate([np.zeros_like(plane[:1]), plane[1:], plane[:1]])  # empty, nuclei, cells
    path = store(tmp_path / "image.zarr", colours)
    wanted = bigcell.segment(plane, diameter=14, anisotropy=1).labels
    for channels in ([2, 1], ["2", "1"]):
        found = bigcell.segment(path, channels=channels, diameter=14, cluster="serial", overwrite=True)
        assert np.array_equal(voxels_of(found)[0], wanted)
    told: list[object] = []
    bigcell.segment(path, channels=[2, 0], diameter=14, cluster="serial", overwrite=True, listener=told.append)
    assert Notice("channel '0' is 0 everywhere; it is taken as empty") in told


def test_planes_on_their_own_are_normalised_on_their_own(image: np.ndarray) -> None:
    assert not bigcell.plan(image, diameter=14, do_3D=False).settings.normalize.norm3D
    assert bigcell.plan(image, diameter=14, stitch_threshold=0.3).settings.normalize.norm3D
    assert bigcell.plan(image, diameter=14, do_3D=False, lowhigh=(0, 9)).settings.normalize.by == "lowhigh"


def test_channels_are_told_of_where_they_do_not_fit(tmp_path: Path, store, image: np.ndarray) -> None:
    three = np.concatenate([image, image[:1]])
    path = store(tmp_path / "image.zarr", three)
    with pytest.raises(InputError, match=r"3 channels .* choose what to segment .* 'grey'"):
        bigcell.plan(path)
    with pytest.raises(SettingsError, match=r"Cellpose's \[0, 0\], give \['grey'\]"):
        bigcell.plan(path, channels=[0, 0])
    with pytest.raises(SettingsError, match="3 pairs for 1 channels"):
        bigcell.plan(path, channels=["grey"], lowhigh=[(0, 1), (0, 2), (0, 3)])


def test_a_plan_with_every_setting_comes_back_from_json(image: np.ndarray) -> None:
    planned = bigcell.plan(image, lowhigh=[(0, 1), (0, 2)], diameter=14)
    assert Plan.from_json(json.loads(json.dumps(planned.to_json()))) == planned
    assert planned.settings.normalize.lowhigh == ((0.0, 1.0), (0.0, 2.0))
