"""What the fixtures are made of: flows, images and network inputs from seeds, and the settings they are run with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bigcell.testing.weights import weights_from_seed
from scripts.parity.shapes import random_bits

FLOW_STEP, LOGIT_STEP = 25, 16  # flows and logits are multiples of 1/25 and 1/16
USUAL = {"cellprob_threshold": 0.0, "flow_threshold": 0.4, "min_size": 15, "max_size_fraction": 0.4, "niter": 200}

# case: (labels, noise of the flows in unit lengths, noise of the logit, settings that differ from the usual). The noise
# of the flows grows along x from 0.3 to 1.7 of its mean.
CASES: dict[str, tuple[str, float, float, list[dict[str, float]]]] = {
    "exact2": ("packed2", 0.0, 0.0, [{}, {"flow_threshold": 0.0, "min_size": -1}, {"niter": 20}]),
    "noisy2": (
        "packed2",
        0.35,
        1.5,
        [
            {},
            {"flow_threshold": 0.0},
            {"cellprob_threshold": 1.0, "flow_threshold": 0.0},
            {"cellprob_threshold": -1.5, "flow_threshold": 0.8, "min_size": 60},
        ],
    ),
    "long2": ("long2", 0.0, 0.0, [{}, {"flow_threshold": 0.0}]),
    "awkward2": ("awkward2", 0.0, 0.0, [{}, {"flow_threshold": 0.0, "min_size": 4}]),
    "full2": ("full2", 0.0, 0.0, [{}, {"max_size_fraction": 1.0}]),
    "empty2": ("full2", 0.0, 0.0, [{"cellprob_threshold": 7.0}]),
    "exact3": ("packed3", 0.0, 0.0, [{}, {"min_size": 400}, {"niter": 20}]),
    "noisy3": ("packed3", 0.5, 1.5, [{}, {"cellprob_threshold": 1.0}, {"cellprob_threshold": -1.0}]),
    "awkward3": ("awkward3", 0.0, 0.0, [{}, {"min_size": 4}]),
    "full3": ("full3", 0.0, 0.0, [{}, {"max_size_fraction": 1.0}]),
    "empty3": ("full3", 0.0, 0.0, [{"cellprob_threshold": 7.0}]),
    "mild2": ("packed2", 0.15, 0.7, [{}, {"cellprob_threshold": 0.5}]),
    "mild3": ("packed3", 0.15, 0.7, [{}, {"cellprob_threshold": 0.5}]),
}

# Cellpose takes styles to be 256 wide when it cuts tiles: where the views are summed, the last level has 256 channels.
UNETS = {"cpnet1": (1, 8, 16, 32), "cpnet2": (2, 8, 16, 32, 256), "cpnet3": (3, 12, 20, 28, 36)}
TRANSFORMER = {"embed_dim": 48, "depth": 4, "num_heads": 4, "out_chans": 24, "global_attn_indexes": (1, 3)}
DINO = {"hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 96, "num_hidden_layers": 3}
VOLUME, TILE = (24, 40, 48), (48, 64)

PLANE, STACK = (60, 72, 2), (5, 48, 56, 2)
# name: (shape, options of normalize_img)
OPTIONS: dict[str, tuple[tuple[int, ...], dict[str, object]]] = {
    "default": (PLANE, {}),
    "percentile": (PLANE, {"percentile": (5.0, 90.0)}),
    "lowhigh": (PLANE, {"lowhigh": (60, 400)}),
    "lowhigh_each": (PLANE, {"lowhigh": ((60, 400), (50, 300))}),
    "invert": (PLANE, {"invert": True}),
    "sharpen": (PLANE, {"sharpen_radius": 4}),
    "smooth": (PLANE, {"smooth_radius": 2}),
    "both": (PLANE, {"smooth_radius": 2, "sharpen_radius": 6}),
    "tiles": (PLANE, {"tile_norm_blocksize": 30}),
    "stack": (STACK, {"norm3D": True}),
    "planes": (STACK, {"norm3D": False}),
    "stack_smooth": (STACK, {"norm3D": True, "smooth_radius": 1.5}),
    "square_smooth": ((64, 64, 1), {"smooth_radius": 2}),
    "square_sharpen": ((64, 64, 1), {"sharpen_radius": 4}),
    "square_both": ((64, 64, 1), {"smooth_radius": 1, "sharpen_radius": 4}),
    "one_tiles": ((1, *PLANE), {"tile_norm_blocksize": 30}),  # as `eval` hands a plane over
    "stack_tiles": (STACK, {"tile_norm_blocksize": 20, "tile_norm_smooth3D": 2}),
    "planes_tiles": ((5, 48, 56, 1), {"tile_norm_blocksize": 20, "norm3D": False}),
    "off": (PLANE, {"normalize": False}),
}


def given(case: str, unit: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 flows and logit of `case`, on their grids: `unit` holds int8 unit flows of `labels` (125 is one)."""
    _, flow_noise, logit_noise, _ = CASES[case]
    seed = 1000 + list(CASES).index(case)
    logit = np.where(labels > 0, 2.0, -2.0) + logit_noise * _bell(labels.shape, seed)
    noise = np.stack([_bell(labels.shape, seed + 100 * (i + 1)) for i in range(len(unit))])
    flows = unit / 125 + flow_noise * np.linspace(0.3, 1.7, labels.shape[-1]) * noise
    return _on_grid(5 * flows, FLOW_STEP), _on_grid(logit, LOGIT_STEP)


def _bell(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Noise of unit variance, near a normal distribution."""
    return sum(random_bits(shape, 7919 * seed + i) - 0.5 for i in range(3)) * 2.0


def _on_grid(values: np.ndarray, step: int) -> np.ndarray:
    """float32 multiples of 1/step: coarse enough that no last bit of arithmetic matters."""
    return np.round(values * step).astype(np.float32) / np.float32(step)


def network_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Weights from a seed, those of the last layer half as large: answers then stay in the range of flows.

    Scales of branches are near 1, so that no branch counts for little.
    """
    weights = weights_from_seed(shapes, seed)
    for name in weights:
        if name.endswith(".gamma"):
            weights[name] = np.float32(1) + np.float32(2) * weights[name]
    for name in ("output.2.weight", "output.2.bias"):
        if name in weights:
            weights[name] *= np.float32(0.5)
    return weights


def fixed_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """What is not learned of the entries `shapes`, float32: a token's pixels, periods of DINOv3, which biases count."""
    fixed = {}
    for name, shape in shapes.items():
        if name == "W2":
            fixed[name] = np.eye(shape[0], dtype=np.float32).reshape(shape)
        elif name.endswith(".periods"):
            fixed[name] = (100 ** (np.arange(*shape) / shape[0])).astype(np.float32)
        elif name.endswith(".bias_mask"):
            fixed[name] = np.repeat(np.float32([1, 0, 1]), shape[0] // 3)
    return fixed


def picture(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """float32 noise from 0 to below 1, 1.4 times brighter towards the end of the last axis."""
    ramp = np.linspace(0, 0.4, shape[-1])
    return (random_bits(shape, seed) + ramp).astype(np.float32)


def every(values: np.ndarray, step: int) -> np.ndarray:
    """Every `step`-th number, in raster order: enough to hold all to it."""
    return np.ascontiguousarray(values, np.float32).ravel()[::step]
