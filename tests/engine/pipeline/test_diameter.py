"""`diameter="auto"`: near the truth, from a few planes, and the same whatever else is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Array, ArrayVolume
from bigcell.engine.pipeline import diameter as here
from bigcell.engine.pipeline.diameter import PLANES, find_diameter, plan_request, sample_planes
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.request import Request
from bigcell.flows.style import plane_styles
from bigcell.networks.registry import load_model
from bigcell.networks.size import SizeModel, estimate_diameter
from bigcell.synthetic import sample_volume


def discs(extent: tuple[int, int, int], diameter: float, seed: int = 0) -> Array:
    """Labels of discs in every plane, one and a half diameters apart."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(extent, np.int32)
    y, x = np.indices(extent[1:])
    step = 1.5 * diameter
    for i, cy in enumerate(np.arange(step / 2, extent[1], step)):
        for j, cx in enumerate(np.arange(step / 2, extent[2], step)):
            size = diameter * rng.uniform(0.9, 1.1)
            labels[:, (y - cy) ** 2 + (x - cx) ** 2 < size**2 / 4] = 1 + i * 1000 + j
    return labels


def tile_group_is_active(labels: Array, planes: ArrayVolume, trial: float, diameter: float) -> Array:
    """A segmenter that finds the cells it is shown, if they are not far from the size it looks for."""
    shown = planes.array[0].astype(np.int64)
    apart = np.where(shown > 0, shown + 100_000 * np.arange(len(shown))[:, None, None], 0)
    return apart if 0.4 < diameter / trial < 2.5 else shown * 0


@pytest.mark.parametrize("extent", [(1, 300, 320), (9, 200, 210)])
@pytest.mark.parametrize("diameter", [8.0, 17.0, 40.0, 70.0])
def test_the_search_ends_at_the_diameter(extent: tuple[int, int, int], diameter: float) -> None:
    labels = discs(extent, diameter)
    found = find_diameter(ArrayVolume(labels), 17.0, lambda p, t: tile_group_is_active(labels, p, t, diameter))
    assert found.diameter == pytest.approx(diameter, rel=0.08)
    assert f"{found.diameter:g} voxels" in found.found


def test_a_guess_is_where_the_search_begins() -> None:
    labels = discs((1, 600, 600), 70)
    trials = []

    def segment(planes: ArrayVolume, trial: float) -> Array:
        trials.append(trial)
        return planes.array[0].astype(np.int64)

    found = find_diameter(ArrayVolume(labels), 17.0, segment, guess=lambda planes: 66.0)
    assert trials[0] == 66.0
    assert found.diameter == pytest.approx(70, rel=0.08)
    assert "size model" in found.found


def test_no_cell_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InputError, match="--diameter"):
        find_diameter(ArrayVolume(np.eye(90)), 17.0, lambda p, t: np.zeros(p.extent, np.int64))


def test_samples_are_where_the_contrast_is_and_small() -> None:
    image = np.zeros((2, 40, 900, 900), np.uint16)
    image[0, 20, 800:, 800:] = np.random.default_rng(0).integers(0, 999, (100, 100))
    image[1] = np.random.default_rng(1).integers(0, 60000, (900, 900))  # another channel does not count
    planes = sample_planes(ArrayVolume(image), 10.0)
    assert planes.extent == (PLANES, 120, 120)
    assert planes.array[0].any()
    assert planes.channels == ("0", "1")
    assert planes.spacing == Spacing(known=False)


def test_samples_do_not_exceed_the_image() -> None:
    assert sample_planes(ArrayVolume(np.ones((1, 30, 500))), 10.0).extent == (3, 30, 120)
    assert sample_planes(ArrayVolume(np.ones((2, 30, 40))), 10.0).extent == (2, 30, 40)


@pytest.mark.parametrize(("diameter", "extent"), [(12, (12, 100, 110)), (26, (1, 220, 230))])
def test_cyto_finds_the_diameter(diameter: float, extent: tuple[int, int, int]) -> None:
    made = sample_volume(extent, diameter=diameter, seed=5)
    planes = [np.bincount(plane[plane > 0])[1:] for plane in made.labels[:: max(1, extent[0] // 3)]]
    areas = np.concatenate([a[a > 0] for a in planes])
    truth = np.median(2 * np.sqrt(areas / np.pi))
    plan = plan_request(Request(model="cyto", diameter="auto"), made.volume, None)
    assert plan.settings.diameter == pytest.approx(truth, rel=0.15)
    assert f"diameter {plan.settings.diameter:g} voxels: the median of" in str(plan)


def test_auto_is_resolved_in_the_plan_and_blocks_do_not_change_it(tmp_path: Path, store) -> None:
    made = sample_volume((10, 64, 70), diameter=14, seed=2)
    path = store(tmp_path / "image.zarr", made.image, spacing=0.5)
    plans = [bigcell.plan(path, model="cyto", diameter="auto", block=block) for block in ((10, 64, 70), (6, 30, 30))]
    assert plans[0].settings.diameter == plans[1].settings.diameter
    again = make_plan(Request(diameter=plans[0].settings.diameter), made.volume, None)
    assert again.settings.dynamics == plans[0].settings.dynamics


def test_a_size_model_begins_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says is taken as the first size to look for; its styles come from the network at its own scale."""
    model = load_model("cyto")
    seen: list[float] = []
    width = plane_styles(model.network, np.zeros((1, 1, 32, 32), np.float32)).shape[1]
    size_model = SizeModel(np.zeros(width), np.zeros(width), np.log(20 / 17), 17.0)
    monkeypatch.setattr("bigcell.networks.registry.load_size_model", lambda name: size_model)
    find = here.find_diameter

    def watched(image, start, segment, guess):  # type: ignore[no-untyped-def]
        seen.append(guess(sample_planes(image, start)))
        return find(image, start, segment, guess)

    monkeypatch.setattr(here, "find_diameter", watched)
    made = sample_volume((1, 110, 120), diameter=18, seed=3)
    plan = plan_request(Request(model="cyto", diameter="auto"), made.volume, None)
    assert seen == [pytest.approx(20.0)]
    assert any("size model" in note for note in plan.notes)


def test_styles_of_planes_do_not_depend_on_their_company() -> None:
    network = load_model("nuclei").network
    image = np.random.default_rng(0).random((1, 3, 40, 50)).astype(np.float32)
    styles = plane_styles(network, image)
    assert np.allclose(np.square(styles).sum(1), 1, atol=1e-5)
    assert np.array_equal(plane_styles(network, image[:, 1:2])[0], styles[1])
    assert estimate_diameter(SizeModel(np.zeros(styles.shape[1]), styles[0], 0.0, 30.0), styles) == pytest.approx(30)


def test_a_diameter_that_is_none_of_these_is_refused() -> None:
    made = sample_volume((1, 40, 40), diameter=14)
    with pytest.raises(SettingsError, match="auto"):
        make_plan(Request(diameter="automatic"), made.volume, None)


def test_samples_are_read_box_by_box() -> None:
    class Watched(ArrayVolume):
        largest = 0

        def read(self, box: Box) -> Array:
            Watched.largest = max(Watched.largest, box.size)
            return super().read(box)

    sample_planes(Watched(np.zeros((50, 400, 400), np.uint8)), 10.0)
    assert Watched.largest == 120 * 120
