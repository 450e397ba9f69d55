"""What Cellpose's networks answer with weights from a seed: run by make_parity.py in a peer's environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import torch
from cellpose import core

from scripts.parity.cases import TILE, TRANSFORMER, UNETS, VOLUME, every, network_weights, picture


def filled(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    """`network` in eval mode with the weights of `seed`; what is fixed (W2) stays as it is."""
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items() if name != "W2"}
    values = {name: torch.from_numpy(v) for name, v in network_weights(shapes, seed).items()}
    network.load_state_dict(values, strict=False)
    return network.eval()


def layout(network: torch.nn.Module) -> np.ndarray:
    """The names and shapes of the state dict that the package saves, as JSON."""
    return np.array(json.dumps({name: tuple(value.shape) for name, value in network.state_dict().items()}))


def cpnet(name: str, seed: int = 11) -> torch.nn.Module:
    from cellpose.resnet_torch import CPnet

    return filled(CPnet(list(UNETS[name]), nout=3, sz=3), seed)


def transformer() -> torch.nn.Module:
    """Cellpose 4's own class around a small image encoder of the kind it takes."""
    from cellpose import vit
    from segment_anything.modeling import ImageEncoderViT

    def small(_: object) -> torch.nn.Module:
        encoder = ImageEncoderViT(
            img_size=1024, patch_size=16, use_rel_pos=True, window_size=14, qkv_bias=True,
            norm_layer=lambda n: torch.nn.LayerNorm(n, eps=1e-6), **TRANSFORMER,
        )  # fmt: skip
        return torch.nn.ModuleDict({"image_encoder": encoder})

    class Registry(dict):
        def __getitem__(self, _: str) -> Callable[[object], object]:
            return lambda root: type("Sam", (), {"image_encoder": small(root)["image_encoder"]})

    vit.sam_model_registry = Registry()
    return filled(vit.CPSAM(), seed=12)


def cellpose3() -> dict[str, np.ndarray]:
    out = {}
    for name, nbase in UNETS.items():
        with torch.no_grad():
            y, style, _ = cpnet(name)(torch.from_numpy(picture((2, nbase[0], *TILE), 21)))
        out[f"{name}/tile"], out[f"{name}/style"] = every(y.numpy(), 5), style.numpy()
        out[f"{name}/state"] = layout(cpnet(name))
    net, volume = cpnet("cpnet2"), picture((*VOLUME, 2), 22)
    out["cpnet2/views"] = every(core.run_3D(net, volume)[0], 13)
    out["cpnet2/views_tiled"] = every(core.run_3D(net, volume, bsize=32)[0], 13)
    out["cpnet2/views_augment"] = every(core.run_3D(net, volume, augment=True, bsize=64)[0], 13)
    out["cpnet2/views_ortho"] = every(core.run_3D(net, volume, net_ortho=cpnet("cpnet2", seed=13))[0], 13)
    out["cpnet2/plane"] = every(core.run_net(net, picture((1, 300, 260, 2), 23))[0], 23)
    out["cpnet2/plane_augment"] = every(core.run_net(net, picture((1, 300, 260, 2), 23), augment=True)[0], 23)
    return out


def cellpose4() -> dict[str, np.ndarray]:
    net = transformer()
    out = {"transformer/state": layout(net)}
    with torch.no_grad():
        y, _ = net(torch.from_numpy(picture((1, 3, 256, 256), 24)))
    out["transformer/tile"] = every(y.numpy(), 23)
    out["transformer/views"] = every(core.run_3D(net, picture((12, 20, 28, 3), 25), bsize=256)[0], 3)
    out["transformer/plane"] = every(core.run_net(net, picture((1, 300, 260, 3), 26), bsize=256)[0], 23)
    return out


def main() -> None:
    what, out = sys.argv[1:]
    torch.set_num_threads(1)
    np.savez_compressed(out, **{"cellpose3": cellpose3, "cellpose4": cellpose4}[what]())


if __name__ == "__main__":
    main()
