"""What Cellpose's networks answer with weights from a seed: run by make_parity.py in a peer's environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import torch
from cellpose import core

from scripts.parity.cases import DINO, TILE, TRANSFORMER, UNETS, VOLUME, every, network_weights, picture


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


class Block(torch.nn.Module):
    """A layer of transformers' DINOv3, which is told positions as Meta's own are: sine, cosine."""

    def __init__(self, config: object) -> None:
        from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTLayer

        super().__init__()
        self.layer = DINOv3ViTLayer(config)

    def forward(self, x: torch.Tensor, positions: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return self.layer(x, position_embeddings=positions)


class Positions(torch.nn.Module):
    """transformers' positions for h x w tokens."""

    def __init__(self, config: object) -> None:
        from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTRopePositionEmbedding

        super().__init__()
        self.patch, self.rope = config.patch_size, DINOv3ViTRopePositionEmbedding(config)

    def forward(self, H: int, W: int) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: N803 - Cellpose calls them so
        return self.rope(torch.zeros(1, 3, H * self.patch, W * self.patch))


def dino_encoder(**_: object) -> torch.nn.Module:
    """What stands for Meta's package, which PyPI has not: an encoder with its parts, of transformers' layers."""
    from transformers import DINOv3ViTConfig

    config = DINOv3ViTConfig(num_register_tokens=4, attn_implementation="sdpa", **DINO)
    encoder, width = torch.nn.Module(), config.hidden_size
    encoder.patch_embed = torch.nn.Module()
    encoder.patch_embed.proj = torch.nn.Conv2d(3, width, config.patch_size, stride=config.patch_size)
    encoder.patch_embed.norm = torch.nn.Identity()
    encoder.cls_token = torch.nn.Parameter(torch.zeros(1, 1, width))
    encoder.storage_tokens = torch.nn.Parameter(torch.zeros(1, 4, width))
    encoder.blocks = torch.nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
    encoder.norm = torch.nn.LayerNorm(width, eps=config.layer_norm_eps)
    encoder.rope_embed = Positions(config)
    return encoder


def dino_state() -> dict[str, tuple[int, ...]]:
    """Names and shapes as Meta's encoder has them in `cpdino`: a table of DINOv3, made of the sizes."""
    width, hidden = DINO["hidden_size"], DINO["intermediate_size"]
    shapes = {
        "diam_labels": (1,),
        "diam_mean": (1,),
        "W2": (192, 3, 8, 8),
        "out.weight": (192, width),
        "out.bias": (192,),
    }
    shapes |= {"encoder.cls_token": (1, 1, width), "encoder.storage_tokens": (1, 4, width)}
    shapes |= {"encoder.mask_token": (1, width), "encoder.patch_embed.proj.weight": (width, 3, 16, 16)}
    shapes |= {
        "encoder.patch_embed.proj.bias": (width,),
        "encoder.norm.weight": (width,),
        "encoder.norm.bias": (width,),
    }
    linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "mlp.fc1": (hidden, width)}
    linear["mlp.fc2"] = (width, hidden)
    for i in range(DINO["num_hidden_layers"]):
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            shapes[f"encoder.blocks.{i}.{name}"] = (width,)
        for name, shape in linear.items():
            shapes |= {f"encoder.blocks.{i}.{name}.weight": shape, f"encoder.blocks.{i}.{name}.bias": shape[:1]}
    return shapes


TO_TRANSFORMERS = {
    "attn.proj": "attention.o_proj", "mlp.fc1": "mlp.up_proj", "mlp.fc2": "mlp.down_proj",
    "ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1",
}  # fmt: skip


def for_transformers(weights: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The same weights under transformers' names; keys have no bias there."""
    out: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        head, _, part = name.partition("encoder.blocks.")
        if name in ("W2", "encoder.mask_token"):
            continue
        if head or not part:
            out[name] = torch.from_numpy(value)
            continue
        number, _, rest = part.partition(".")
        if rest.startswith("attn.qkv"):
            thirds = np.split(value, 3)
            kept = {"q": thirds[0], "k": thirds[1], "v": thirds[2]}
            for which, third in kept.items():
                if not (which == "k" and rest.endswith("bias")):
                    place = f"attention.{which}_proj.{rest.rpartition('.')[2]}"
                    out[f"encoder.blocks.{number}.layer.{place}"] = torch.from_numpy(third.copy())
            continue
        for ours, theirs in TO_TRANSFORMERS.items():
            rest = rest.replace(ours, theirs)
        out[f"encoder.blocks.{number}.layer.{rest}"] = torch.from_numpy(value)
    return out


def dino() -> torch.nn.Module:
    """Cellpose 4.2's own class around a small encoder of transformers' DINOv3."""
    from cellpose import vit

    vit.dinov3_vitl16 = dino_encoder
    network = vit.CPDINO("vitl")
    network.load_state_dict(for_transformers(network_weights(dino_state(), seed=14)), strict=False)
    missing = network.state_dict().keys() - for_transformers(network_weights(dino_state(), seed=14)).keys()
    assert missing == {"W2"}, missing
    return network.eval()


def dino_layout() -> np.ndarray:
    """The names and shapes of the checkpoint, those of the fixed parts too."""
    width, count = DINO["hidden_size"], DINO["num_hidden_layers"]
    fixed = {f"encoder.blocks.{i}.attn.qkv.bias_mask": (3 * width,) for i in range(count)}
    fixed["encoder.rope_embed.periods"] = (width // DINO["num_attention_heads"] // 4,)
    return np.array(json.dumps(dino_state() | fixed))


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


def cpdino() -> dict[str, np.ndarray]:
    net = dino()
    out = {"dino/state": dino_layout()}
    with torch.no_grad():
        for name, shape in {"tile": (1, 3, 384, 384), "small": (2, 3, 64, 96)}.items():
            out[f"dino/{name}"] = every(net(torch.from_numpy(picture(shape, 27)))[0].numpy(), 97)
    out["dino/plane"] = every(core.run_net(net, picture((1, 300, 460, 3), 28), bsize=384)[0], 97)
    return out


def main() -> None:
    what, out = sys.argv[1:]
    torch.set_num_threads(1)
    np.savez_compressed(out, **{"cellpose3": cellpose3, "cellpose4": cellpose4, "cpdino": cpdino}[what]())


if __name__ == "__main__":
    main()
