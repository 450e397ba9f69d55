"""Which network a file holds: recognised by its names, sized by its shapes, refused with a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bigcell.core.errors import ModelError
from bigcell.networks.cpnet import CPnet
from bigcell.networks.dino_vit import CellposeDINO, DinoSizes
from bigcell.networks.recognise import build_cpnet, build_dino, build_network, build_sam
from bigcell.networks.sam_vit import CellposeSAM, SamSizes

NBASE = (2, 4, 6, 8)
SMALL = SamSizes(patch=4, grid=4, width=12, heads=3, hidden=20, neck=5, spans=(7, 3))
DINO = DinoSizes(patch=8, step=4, width=24, heads=3, hidden=20, blocks=2, storage=2)


@pytest.fixture
def network() -> CPnet:
    torch.manual_seed(3)
    return CPnet(NBASE, diam_mean=21).eval()


@pytest.fixture
def sam() -> CellposeSAM:
    torch.manual_seed(4)
    return CellposeSAM(SMALL, diam_mean=33).eval()


@pytest.fixture
def dino() -> CellposeDINO:
    torch.manual_seed(5)
    return CellposeDINO(DINO, diam_mean=31).eval()


def test_each_network_is_recognised(network: CPnet, sam: CellposeSAM, dino: CellposeDINO) -> None:
    for made in (network, sam, dino):
        again = build_network(made.state_dict())
        assert type(again) is type(made)
        assert not again.training
        assert not any(p.requires_grad for p in again.parameters())
        x = torch.rand(2, made.channels, 16, 16)
        assert torch.equal(again(x), made(x))
    assert (CPnet.kind, CellposeSAM.kind, CellposeDINO.kind) == ("CPnet", "Cellpose-SAM", "Cellpose-DINO")


def test_a_single_channel_and_four_outputs_are_read_from_the_shapes() -> None:
    again = build_cpnet(CPnet([1, 8, 16], nout=4).state_dict())
    assert (again.nbase, again.nout, again.channels) == ((1, 8, 16), 4, 1)


def test_the_sizes_of_a_transformer_are_read_from_the_shapes(sam: CellposeSAM) -> None:
    again = build_sam(sam.state_dict())
    assert again.sizes == SMALL
    assert (again.tile, again.stride, again.channels) == (16, 4, 3)
    assert float(again.diam_mean) == 33


def test_the_sizes_of_a_dino_are_read_from_the_shapes(dino: CellposeDINO) -> None:
    again = build_dino(dino.state_dict())
    assert again.sizes == DINO
    assert (again.tile, again.stride, again.channels) == (384, 4, 3)
    assert float(again.diam_mean) == 31


def test_periods_of_positions_are_those_of_the_file(dino: CellposeDINO) -> None:
    state = dino.state_dict() | {"encoder.rope_embed.periods": torch.tensor([1.0, 8.0])}
    assert build_dino(state).encoder.rope_embed.periods.tolist() == [1, 8]


def test_half_precision_becomes_float32_and_float32_is_shared(sam: CellposeSAM, dino: CellposeDINO) -> None:
    for made in (sam, dino):
        state = made.state_dict()
        assert build_network(state).out.weight.data_ptr() == state["out.weight"].data_ptr()
        half = build_network({name: value.bfloat16() for name, value in state.items()})
        assert {value.dtype for value in half.state_dict().values()} == {torch.float32}


def test_a_transformer_whose_file_tells_no_diameter_knows_cells_of_30(sam: CellposeSAM, dino: CellposeDINO) -> None:
    """Cellpose 4 scales images to cells of 30 pixels without asking the file."""
    for made in (sam, dino):
        again = build_network({name: value for name, value in made.state_dict().items() if not name.startswith("diam")})
        assert (float(again.diam_mean), float(again.diam_labels)) == (30, 30)


def test_style_is_off_if_said(network: CPnet) -> None:
    x = torch.rand(1, 2, 16, 16)
    assert torch.equal(build_cpnet(network.state_dict())(x), network(x))
    off = build_cpnet(network.state_dict(), style_on=False)
    assert not torch.allclose(off(x), network(x))
    for layer in (m for n, m in network.named_modules() if n.endswith(".full")):
        layer.weight.data.zero_()
    assert torch.allclose(off(x), network(x)), "no style is a style of zeros"


def test_the_first_half_of_a_transformer_is_not_one() -> None:
    with pytest.raises(ModelError, match=r"not known.*Cellpose-SAM"):
        build_network({"encoder.pos_embed": torch.zeros(1, 4, 4, 8), "out.weight": torch.zeros(3)})


def test_another_network_is_named_by_what_was_found() -> None:
    with pytest.raises(ModelError, match=r"0\.weight"):
        build_network(nn.Sequential(nn.Conv2d(1, 1, 3)).state_dict())


def drop(name: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda state: state.__delitem__(name)


def put(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda state: state.__setitem__(name, value)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (drop("upsample.up.res_up_0.conv.conv_1.full.weight"), "does not fit"),
        (put("extra.weight", torch.zeros(2)), "does not fit"),
        (drop("diam_mean"), "those of Cellpose 1"),
        (put("diam_mean", torch.tensor([-3.0])), "diam_mean"),
        (put("output.2.bias", torch.tensor([0.0, float("nan"), 0.0])), "finite"),
        (put("output.2.weight", torch.zeros(3)), "four dimensions"),
        (put("output.2.weight", torch.zeros(3, 5, 1, 1)), "does not fit"),
        (put("output.2.weight", torch.zeros(0, 4, 1, 1)), "larger"),
        (put("diam_mean", torch.tensor([])), "diam_mean"),
        (put("diam_labels", torch.tensor([float("inf")])), "finite"),
        (put("downsample.down.res_down_0.conv.conv_0.2.weight", torch.zeros(9000, 2, 1, 1)), "larger"),
    ],
)
def test_broken_weights_are_refused(network: CPnet, harm: Callable[[dict[str, Tensor]], None], says: str) -> None:
    state = dict(network.state_dict())
    harm(state)
    with pytest.raises(ModelError, match=says):
        build_cpnet(state)


def test_weights_without_the_diameter_of_the_training_labels_are_read(network: CPnet) -> None:
    state = dict(network.state_dict())
    del state["diam_labels"]
    assert float(build_cpnet(state).diam_labels) == 21


def test_weights_of_cellpose_1_need_a_diameter(network: CPnet) -> None:
    state = {name: value for name, value in network.state_dict().items() if not name.startswith("diam")}
    again = build_network(state, diameter=17)
    assert (float(again.diam_mean), float(again.diam_labels)) == (17, 17)


def test_counters_that_are_not_used_may_be_missing(network: CPnet) -> None:
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("batches_tracked")}
    x = torch.rand(1, 2, 16, 16)
    assert torch.equal(build_network(state)(x), network(x))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (drop("encoder.blocks.1.mlp.lin2.bias"), "is missing"),
        (drop("encoder.pos_embed"), "is missing"),
        (drop("out.weight"), "is missing"),
        (put("diam_mean", torch.tensor([0.0])), "diam_mean"),
        (put("encoder.blocks.1.extra", torch.zeros(2)), "holds 'encoder"),
        (put("encoder.pos_embed", torch.zeros(1, 4, 5, 12)), "wanted"),
        (put("encoder.blocks.0.attn.rel_pos_h", torch.zeros(7, 5)), "heads of 5"),
        (put("encoder.blocks.0.attn.rel_pos_w", torch.zeros(5, 4)), "wanted"),
        (put("encoder.blocks.0.attn.rel_pos_h", torch.zeros(4)), "table"),
        (put("encoder.blocks.1.attn.rel_pos_h", torch.zeros(0, 4)), "table"),
        (put("W2", torch.zeros(48, 3)), "4 dimensions"),
        (put("W2", torch.zeros(48, 900, 4, 4)), "none that can be"),
        (put("encoder.neck.0.weight", torch.full((5, 12, 1, 1), float("nan"))), "finite"),
    ],
)
def test_broken_transformers_are_refused(
    sam: CellposeSAM, harm: Callable[[dict[str, Tensor]], None], says: str
) -> None:
    state = dict(sam.state_dict())
    harm(state)
    with pytest.raises(ModelError, match=says):
        build_network(state)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (drop("encoder.blocks.1.mlp.fc2.bias"), "of 2 blocks of width 24: 'encoder.blocks.1.mlp.fc2.bias' is missing"),
        (drop("encoder.blocks.0.attn.qkv.weight"), "holds 'encoder.blocks"),
        (drop("encoder.rope_embed.periods"), "fit a Cellpose-DINO: 'encoder.rope_embed.periods' is missing"),
        (drop("W2"), "'W2' is missing"),
        (put("encoder.blocks.1.mlp.w3.weight", torch.zeros(2)), "holds 'encoder.blocks.1.mlp.w3"),
        (put("encoder.local_cls_norm.weight", torch.zeros(24)), "holds 'encoder.local"),
        (put("encoder.cls_token", torch.zeros(1, 1, 25)), "wanted"),
        (put("encoder.rope_embed.periods", torch.ones(5)), "heads of 20"),
        (put("encoder.rope_embed.periods", torch.ones(0)), "1 dimensions"),
        (put("encoder.rope_embed.periods", torch.tensor([1.0, float("nan")])), "finite"),
        (put("encoder.patch_embed.proj.weight", torch.zeros(24, 3, 7, 7)), "patches of 7 pixels 4 apart"),
        (put("encoder.patch_embed.proj.weight", torch.zeros(24, 3, 99, 99)), "none that can be"),
        (put("encoder.patch_embed.proj.weight", torch.zeros(24, 3, 8, 4)), "wanted"),
        (put("W2", torch.zeros(48, 900, 4, 4)), "900 outputs"),
        (put("W2", torch.zeros(48, 3, 4)), "4 dimensions"),
        (put("out.weight", torch.zeros(48, 24, 1, 1)), "2 dimensions"),
        (put("diam_mean", torch.tensor([-1.0])), "diam_mean"),
    ],
)
def test_broken_dinos_are_refused(dino: CellposeDINO, harm: Callable[[dict[str, Tensor]], None], says: str) -> None:
    state = dict(dino.state_dict())
    harm(state)
    with pytest.raises(ModelError, match=says):
        build_network(state)


def test_absurd_shapes_cost_nothing() -> None:
    """Shapes are compared before a weight is made: these would be petabytes."""
    state = dict(CellposeSAM(SMALL).state_dict())
    for name in ("encoder.patch_embed.proj.weight", "encoder.neck.0.weight"):
        state[name] = state[name].new_zeros(1).expand(10**8 if "neck" in name else 8, 3, 4, 4)
    with pytest.raises(ModelError, match="wanted"):
        build_network(state)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("encoder.cls_token", "Cellpose-DINO"),
        ("storage_tokens", "DINOv3 itself"),
        ("net.encoder.patch_embed1.proj.weight", "SegFormer"),
        ("downsample.down.conv_down_0.conv.conv_0.2.weight", "without residual"),
        ("image_encoder.pos_embed", "Segment Anything"),
    ],
)
def test_networks_that_are_known_and_not_supported_or_not_whole_are_named(name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        build_network({name: torch.zeros(3), "a": torch.zeros(2)})
