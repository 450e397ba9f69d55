"""CPnet: names, shapes, and parity with a real checkpoint of that architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imread

from bigcell.flows.from_labels import unit_flows
from bigcell.networks.checkpoint import read_checkpoint
from bigcell.networks.cpnet import CPnet
from bigcell.networks.recognise import build_cpnet

PARITY = Path(__file__).parents[2].parent / "shared" / "data" / "parity"


@pytest.fixture(scope="module")
def tiny() -> CPnet:
    torch.manual_seed(0)
    return CPnet([2, 4, 6, 8, 10]).eval()


def test_names_are_those_of_the_published_checkpoints(tiny: CPnet) -> None:
    names = set(tiny.state_dict())
    some = {
        "downsample.down.res_down_0.conv.conv_0.0.running_mean",
        "downsample.down.res_down_3.conv.conv_3.2.weight",
        "downsample.down.res_down_1.proj.1.bias",
        "upsample.up.res_up_0.conv.conv_0.2.weight",
        "upsample.up.res_up_3.conv.conv_1.conv.2.weight",
        "upsample.up.res_up_2.conv.conv_3.full.bias",
        "upsample.up.res_up_1.proj.0.num_batches_tracked",
        "output.0.weight",
        "output.2.weight",
        "diam_mean",
        "diam_labels",
    }
    assert some <= names
    assert len(names) == 4 * 4 * 7 + 4 * 7 + 4 * 4 * 7 + 4 * 3 * 2 + 4 * 7 + 7 + 2


@pytest.mark.parametrize(("h", "w"), [(8, 8), (24, 40), (64, 16)])
def test_any_multiple_of_the_stride_keeps_its_size(tiny: CPnet, h: int, w: int) -> None:
    assert tiny.stride == 8
    with torch.no_grad():
        out = tiny(torch.rand(2, 2, h, w))
    assert out.shape == (2, 3, h, w)
    assert out.dtype == torch.float32


def test_channels_and_outputs_are_free() -> None:
    network = CPnet([1, 4, 8, 12], nout=5).eval()
    assert network.stride == 4
    assert network(torch.rand(1, 1, 12, 20)).shape == (1, 5, 12, 20)


def test_tiles_of_a_batch_do_not_know_of_one_another(tiny: CPnet) -> None:
    x = torch.rand(3, 2, 32, 32)
    with torch.no_grad():
        together = tiny(x)
        alone = torch.cat([tiny(x[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_style_is_the_mean_of_the_deepest_features_as_a_unit_vector(tiny: CPnet) -> None:
    x = torch.rand(2, 2, 24, 32)
    with torch.no_grad():
        mean = tiny.downsample(x)[-1].mean(dim=(2, 3))
        assert torch.allclose(tiny.style(x), mean / mean.norm(dim=1, keepdim=True), atol=1e-6)


def test_one_convolution_by_hand() -> None:
    """With all convolutions 0 but the first short cut, all norms the identity: the output is worked out below."""
    network = CPnet([1, 1, 1], nout=1).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("weight"):
                value.fill_(1.0 if value.ndim == 1 else 0.0)  # the norms' scale; the convolutions
            elif name.endswith("bias"):
                value.zero_()
        network.downsample.down[0].proj[1].weight.fill_(1)  # level 0 is the image itself
        network.downsample.down[1].proj[1].weight.fill_(2)  # level 1 twice the maximum of 2 x 2
        network.upsample.up[1].proj[1].weight.fill_(3)  # and three times that, doubled in size
        network.upsample.up[0].proj[1].weight.fill_(1)
        network.output[2].weight.fill_(1)
        got = network(torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]]))
    assert got == pytest.approx(2 * 3 * 5.0, rel=1e-4)


@pytest.mark.data
@pytest.mark.skipif(not PARITY.is_dir(), reason=f"no real checkpoint at {PARITY}")
@pytest.mark.parametrize("name", ["style3_494", "style3_495"])
def test_a_real_checkpoint_sees_real_cells(name: str) -> None:
    state = read_checkpoint(PARITY / "cyto_scellseg_cpnet.pt")
    network = CPnet([2, 32, 64, 128, 256])
    network.load_state_dict(state, strict=True)
    network = build_cpnet(state)
    assert float(network.diam_mean) == 30
    image = imread(PARITY / "images" / f"{name}_img.png").astype(np.float32)
    labels = imread(PARITY / "images" / f"{name}_masks.png")
    h, w = (n // 16 * 16 for n in labels.shape)
    channels = [image[:h, :w, 1], image[:h, :w, 0]]
    limits = [np.percentile(c, (1, 99)) for c in channels]
    x = np.stack([(c - low) / max(high - low, 1e-6) for c, (low, high) in zip(channels, limits, strict=True)])
    with torch.no_grad():
        out = network(torch.from_numpy(x.astype(np.float32))[None])[0].numpy()
    labels = labels[:h, :w].astype(np.int32)
    found, truth = out[2] > 0, labels > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.85
    both = found & truth
    size = np.hypot(out[0], out[1])
    assert 4 < np.median(size[both]) < 5.5  # unit vectors, times 5
    flows = unit_flows(labels[None])[1:, 0]
    assert ((out[:2] * flows).sum(0) / size)[both].mean() > 0.85  # the cosine
