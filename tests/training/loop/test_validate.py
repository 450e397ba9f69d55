"""Scores on whole planes: a perfect network has them all, and the road is that of the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bigcell
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.flows.from_labels import flows_from_labels
from bigcell.flows.runner import Runner
from bigcell.networks.cpnet import CPnet
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.testing.labelled import synthetic_images
from bigcell.training.loop.validate import predict_plane, segment_plane, validate
from bigcell.training.stacks.labelled_planes import Example


class Oracle:
    """A network whose input is its answer: three channels of flows and logit."""

    channels, tile, diam_mean = 3, None, torch.tensor([14.0])

    def __call__(self, tiles: torch.Tensor) -> torch.Tensor:
        return tiles


def oracle() -> Runner:
    return Runner(Oracle(), device=torch.device("cpu"))


def truth(side: int = 96) -> Example:
    plane = next(synthetic_images(1, side).planes())
    logit = np.where(plane.labels > 0, 6.0, -6.0)
    answer = np.concatenate([flows_from_labels(plane.labels), logit[None]]).astype(np.float32)
    return Example(answer, plane.labels, 14.0)


def test_a_perfect_answer_has_all_the_points() -> None:
    found = segment_plane(oracle(), truth())
    assert found.ap50 > 0.9
    assert np.mean(found.precisions) > 0.85
    assert found.f1 > 0.95
    assert found.loss < 0.2


@pytest.mark.parametrize("side", [96, 300])
def test_an_image_of_the_right_size_is_seen_as_it_is(side: int) -> None:
    """In one tile and in several that overlap."""
    plane = truth(side)
    assert np.abs(predict_plane(oracle(), plane.image, 14.0) - plane.image).max() < 0.02


def test_cells_of_another_size_are_scaled() -> None:
    seen: list[tuple[int, ...]] = []

    class Watching(Oracle):
        def __call__(self, tiles: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(tiles.shape))
            return tiles

    image: Array = np.zeros((1, 200, 120), np.float32)
    out = predict_plane(Runner(Watching(), device=torch.device("cpu")), image, 28.0)
    assert out.shape == (3, 200, 120)
    assert seen[0][1:] == (3, 128, 80)  # half as large, with the margins of tiles


def test_a_transformer_gets_its_own_tile() -> None:
    sizes = SamSizes(patch=8, grid=4, width=16, heads=2, hidden=32, neck=8, spans=(7, 3))
    runner = Runner(CellposeSAM(sizes, diam_mean=14).requires_grad_(False).eval(), device=torch.device("cpu"))
    assert predict_plane(runner, np.zeros((1, 40, 50), np.float32), 14.0).shape == (3, 40, 50)


def test_labels_are_those_of_the_engine(tmp_path: object) -> None:
    """`segment` of the same normalised image, with a network of random weights that finds something."""
    from bigcell.testing.weights import weights_from_seed

    network = CPnet([2, 4, 8, 12], diam_mean=14).eval().requires_grad_(False)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    state = {name: torch.from_numpy(v) for name, v in weights_from_seed(shapes, 3).items()}
    state["diam_mean"].fill_(14)
    state["diam_labels"].fill_(14)
    network.load_state_dict(state)
    path = f"{tmp_path}/net.pt"
    torch.save(network.state_dict(), path)
    image = np.random.default_rng(1).random((2, 90, 70), np.float32)
    wanted = bigcell.segment(
        image[:, None], model=path, diameter=18, normalize=False, precision="float32", flow_threshold=0.0
    )
    out = predict_plane(Runner(network, device=torch.device("cpu")), image, 18.0)
    found = bigcell.masks_from_flows(out[:2], out[2], flow_threshold=0.0)
    assert wanted.objects > 3
    assert np.array_equal(found, wanted.labels)


def test_means_over_planes_and_each_of_them() -> None:
    class Source:
        name, weight, channels = "truth", 1.0, 3

        def planes(self) -> object:
            yield truth()
            yield Example(0 * truth().image - 6, truth().labels, 14.0)
            yield Example(truth().image, np.roll(truth().labels, 1, axis=1), 14.0)  # found, but not quite there

    scores = validate(oracle(), [Source()])  # type: ignore[list-item]
    assert scores.planes == 3
    assert scores.each[0] > 0.9
    assert scores.each[1] == 0 < scores.each[2]
    assert scores.ap50 == pytest.approx(np.mean(scores.each))
    assert scores.ap < scores.ap50


def test_nothing_to_look_at_is_an_error() -> None:
    with pytest.raises(InputError, match="no labelled plane"):
        validate(oracle(), [])
