"""The CUDA kernel gives the integers of following with numba: interpreted on the CPU, and run where there is a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bigcell.dynamics.settings import Sampling

pytest.importorskip("triton", reason="Triton is not installed; it comes with torch for CUDA")

CODE = """
import numpy as np
import bigcell.dynamics.follow_triton as kernel
from bigcell.core.box import Box
from bigcell.dynamics.follow import Particles, follow, follow_core
from bigcell.dynamics.follow_torch import follow_core_torch, follow_torch
from bigcell.dynamics.settings import DynamicsSettings
rng = np.random.default_rng(3)
kernel.BLOCK = 256
for extent, start, stop in [((4, 8, 10), (1, 2, 2), (4, 7, 9))]:
    window = Box(start, stop)
    for sampling, planar in [("centre", False), ("cellpose", False), ("cellpose", True)]:
        flow = rng.integers(-1500, 1500, (3, *window.shape)).astype(np.int16)
        places = np.argwhere(rng.random(window.shape) < 0.9) + np.array(start)
        particles = Particles(places, np.zeros(places.shape, np.int32), rng.integers(0, 5, len(places)).astype("i4"))
        how = DynamicsSettings(niter=12, sampling=sampling, planar=planar)
        a, gone = follow_torch(flow, window, extent, particles, how, mover=kernel.move)
        b, away = follow(flow, window, extent, particles, how)
        assert np.array_equal(a.displacement, b.displacement), (extent, how)
        assert np.array_equal(a.steps, b.steps), (extent, how)
        assert np.array_equal(gone, away), (extent, how)
        print(len(places), int(away.sum()))
    mask = rng.random(window.shape) < 0.5
    ends, left = follow_core_torch(flow, mask, window, window, extent, DynamicsSettings(niter=9), mover=kernel.move)
    plain, plain_left = follow_core(flow, mask, window, window, extent, DynamicsSettings(niter=9))
    assert np.array_equal(ends, plain)
    assert np.array_equal(left.displacement, plain_left.displacement)
print("equal")
"""


def test_the_interpreted_kernel_gives_the_same_integers() -> None:
    run = subprocess.run(
        [sys.executable, "-c", CODE], env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert run.stdout.endswith("equal\n"), run.stderr
    assert any(int(line.split()[1]) for line in run.stdout.splitlines()[:-1]), "no particle escaped: test more"


def test_the_kernel_compiles_for_cuda(tmp_path: Path) -> None:
    code = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from bigcell.dynamics.follow_triton import _follow
kinds = dict.fromkeys(_follow.arg_names, "i32")
kinds |= dict(packed="*i64", at="*i32", steps="*i32", escaped="*i8")
for flat, cellpose in [(False, False), (True, True)]:
    fixed = dict(flat=flat, cellpose=cellpose, block=128)
    kinds |= dict.fromkeys(fixed, "constexpr")
    made = triton.compile(ASTSource(_follow, kinds, constexprs=fixed), target=GPUTarget("cuda", 80, 32))
    print(len(made.asm["cubin"]))
"""
    env = os.environ | {"TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert all(int(size) > 1000 for size in run.stdout.split())


@pytest.mark.gpu
@pytest.mark.parametrize("sampling", ["centre", "cellpose"])
@pytest.mark.parametrize("backend", ["triton", "torch"])
def test_a_cuda_device_gives_the_same_integers(backend: str, sampling: Sampling) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    from bigcell.core.box import Box
    from bigcell.dynamics.follow import Particles, follow, follow_core, foreground_flow
    from bigcell.dynamics.follow_torch import follow_core_torch, follow_torch
    from bigcell.dynamics.follow_triton import move
    from bigcell.dynamics.settings import DynamicsSettings
    from bigcell.dynamics.window import integer_flows
    from bigcell.testing.flows import FlowLattice

    extent = (48, 90, 100)
    flows = FlowLattice(extent, noise=0.6).read(Box.of(extent))
    window = Box((5, 6, 7), (40, 80, 81))
    mask, flow = foreground_flow(integer_flows(flows)[(slice(None), *window.slices)], 0)
    particles = Particles.at(np.argwhere(mask) + np.array(window.start))
    settings, mover = DynamicsSettings(sampling=sampling), move if backend == "triton" else None
    a, gone = follow_torch(flow, window, extent, particles, settings, device="cuda", mover=mover)
    b, away = follow(flow, window, extent, particles, settings)
    assert np.array_equal(a.displacement, b.displacement)
    assert np.array_equal(gone, away)
    ends = follow_core_torch(flow, mask, window, window, extent, settings, device="cuda", mover=mover)[0]
    plain = follow_core(flow, mask, window, window, extent, settings)[0]
    assert np.array_equal(ends, plain)
