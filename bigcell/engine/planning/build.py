"""A request becomes a plan: every choice resolved, every refusal made before any work."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Volume
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.engine.planning.flow_options import check_ortho, flow_settings, tile_settings
from bigcell.engine.planning.memory_cost import estimate
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.engine.planning.settings import RunSettings, default_block
from bigcell.io.ngff.flow_store import HOLDS
from bigcell.preprocess.normalize import NormalizeSettings, fixed_levels
from bigcell.stitch.clean import CleanSettings
from bigcell.stitch.number import SizeSettings

DEFAULT_NITER = 200
DEFAULT_MIN_SIZE = 15
SCRAP = 0.1
"""Part of a ball of the cells' diameter under which an object of a stack is a scrap: one of under half its diameter."""
LARGE_GRID = 8.0
"""Voxels of the network's grid for one of the volume, from which on a plan says why."""
FLOW_THRESHOLD_3D = 0.4
"""Flow error above which an object of a stack is none, where a network made the flows."""


def make_plan(request: Request, image: Volume | None, given: Volume | None, workers: int = 1) -> Plan:
    """The plan for segmenting `image`, or for following the flows `given` instead of a network's.

    The diameter is a number here, or the model's own; `bigcell.engine.pipeline.diameter.plan_request` knows "auto".
    """
    volume = given if given is not None else image
    if volume is None:
        raise InputError("neither an image nor flows were given; give one of them")
    if given is not None:
        _check_flows(given, image)
    spacing = volume.spacing
    settings = RunSettings(
        block=_block(request, volume.extent),
        diameter=None,
        anisotropy=_anisotropy(request, volume),
        normalize=_intensities(request, volume.extent),
        tiles=tile_settings(request),
        flows=flow_settings(request),
        dynamics=DynamicsSettings(
            request.cellprob_threshold,
            DEFAULT_NITER if request.niter is None else request.niter,
            sampling=request.sampling,
            planar=_is_planar(request, volume.extent),
        ),
        sizes=_sizes(request, DEFAULT_MIN_SIZE),
        clean=CleanSettings(request.fill_holes, request.flow_threshold, request.flow_threshold_3d or 0.0),
        stitch_threshold=request.stitch_threshold if volume.extent[0] > 1 else 0.0,
        on_bad_chunk=request.on_bad_chunk,
    )
    plan = Plan(volume.extent, spacing, volume.channels, str(volume.dtype), settings)
    notes = size_notes(spacing) if plan.is_solid and request.anisotropy is None else ()
    plan = replace(plan, image=_identity(image), flows=_identity(given), notes=notes)
    if given is None:
        plan = _with_model(plan, request)
    return replace(plan, budget=estimate(plan, workers=workers))


def _with_model(plan: Plan, request: Request) -> Plan:
    from bigcell.flows.cost import network_cost
    from bigcell.flows.runner import choose_device, settle_precision  # torch only where a network is asked for
    from bigcell.networks.registry import load_model

    model = load_model(request.model)
    names = plan.seen_channels
    if len(names) > model.channels:
        raise InputError(
            f"the image has {len(names)} channels ({', '.join(names)}), model {request.model!r} takes "
            f"{model.channels}: choose what to segment and then, if there is one, the nuclei (--channel), or 'grey', "
            "the mean of all"
        )
    fixed_levels(request.normalize, names)
    diameter = model.diameter if request.diameter is None else voxels(request.diameter, plan.spacing)
    niter = request.niter if request.niter is not None else max(DEFAULT_NITER, round(DEFAULT_NITER * diameter / 30))
    halo = max(8, round(diameter / 2))
    dynamics = replace(plan.settings.dynamics, niter=niter, halo=halo)
    flows = flow_settings(request)
    tiles = tile_settings(request, model.tile, resizable=model.resizable)
    precision, notes = settle_precision(request.precision, model, tiles.size)
    flows = replace(flows, precision=precision)
    settings = replace(plan.settings, diameter=diameter, dynamics=dynamics, tiles=tiles, flows=flows)
    if plan.is_solid:
        settings = replace(settings, sizes=_sizes(request, scrap_size(diameter, plan.settings.anisotropy)))
        if request.flow_threshold_3d is None and flows.views == "average":  # a sum is longer than what it is held to
            settings = replace(settings, clean=replace(settings.clean, flow_threshold_3d=FLOW_THRESHOLD_3D))
    if request.model_ortho and not plan.is_flat:
        ortho = load_model(request.model_ortho)
        check_ortho(model, ortho)
        plan = replace(plan, model_ortho=request.model_ortho, model_ortho_sha256=ortho.sha256)
    cost = network_cost(model.network, precision, choose_device().type)
    if plan.model_ortho:
        cost = replace(cost, held=2 * cost.held)
    plan = replace(plan, notes=(*plan.notes, *notes), network=cost, settings=settings, model_kind=model.kind)
    plan = replace(plan, model=request.model, model_sha256=model.sha256, model_diameter=model.diameter)
    return replace(plan, notes=(*plan.notes, *grid_notes(plan)))


def grid_notes(plan: Plan) -> tuple[str, ...]:
    """What is to be said where cells are much smaller than those that the model knows: they are enlarged for it."""
    factor = math.prod(plan.lattice.extent) / plan.voxels
    if factor < LARGE_GRID:
        return ()
    return (
        f"cells of {plan.settings.diameter:.3g} voxels are enlarged to the {plan.model_diameter:g} that {plan.model} "
        f"knows: its grid has {factor:.0f} times the voxels of the volume, and the network takes as much longer. If "
        "they are larger, say so by --diameter; else a model of smaller cells is faster (`bigcell models list`)",
    )


def scrap_size(diameter: float, anisotropy: float) -> int:
    """Voxels of the smallest object of a stack that counts, where nobody says how many.

    >>> scrap_size(17, 1.0), scrap_size(17, 2.0), scrap_size(5, 1.0)
    (257, 129, 15)
    """
    return max(DEFAULT_MIN_SIZE, round(SCRAP * math.pi / 6 * diameter**3 / anisotropy))


def _sizes(request: Request, least: int) -> SizeSettings:
    """The limits asked for; `least` where the lower one was not, and never above the upper one."""
    if request.min_size is not None:
        return SizeSettings(request.min_size, request.max_size)
    return SizeSettings(min(least, request.max_size) if request.max_size > 0 else least, request.max_size)


def _intensities(request: Request, extent: tuple[int, int, int]) -> NormalizeSettings:
    """As asked; but planes that are segmented each on its own, and not linked, also have percentiles of their own."""
    apart = _is_planar(request, extent) and not request.stitch_threshold
    if apart and request.normalize.by in ("volume", "tile"):
        return replace(request.normalize, norm3D=False)
    return request.normalize


def _is_planar(request: Request, extent: tuple[int, int, int]) -> bool:
    if request.do_3D and request.stitch_threshold:
        raise SettingsError(
            f"stitch_threshold {request.stitch_threshold} links planes that are segmented each on its own, which "
            "do_3D=True does not do: give one of them"
        )
    by_plane = request.stitch_threshold > 0 if request.do_3D is None else not request.do_3D
    return by_plane and extent[0] > 1


def voxels(diameter: float | str, spacing: Spacing) -> float:
    """A diameter as voxels along x.

    >>> voxels("8.5 um", Spacing(2, 0.5, 0.5)), voxels("17", Spacing()), voxels(30, Spacing())
    (17.0, 17.0, 30.0)
    """
    match = re.fullmatch(r"\s*([0-9.eE+-]+)\s*(um|µm|μm|px|voxels?)?\s*", str(diameter))
    try:
        number = float(match[1]) if match else 0.0
    except ValueError:
        number = 0.0
    if not match or not 0 < number < float("inf"):
        raise SettingsError(f"diameter {diameter!r}: wanted voxels, as in 17, micrometres, as in 8.5um, or auto")
    if match[2] not in ("um", "µm", "μm"):
        return number
    if not spacing.in_um("x"):
        raise SettingsError(
            f"diameter {diameter!r} is in micrometres, but the image does not say its voxel size along x in a unit of "
            f"length ({spacing.described()}): give it in voxels, or the size with `bigcell convert --spacing`"
        )
    return number / spacing.x


def _anisotropy(request: Request, volume: Volume) -> float:
    if volume.extent[0] == 1:
        return 1.0
    if request.anisotropy is not None:
        return request.anisotropy
    return volume.spacing.anisotropy


def size_notes(spacing: Spacing) -> tuple[str, ...]:
    """What the voxels of a stack are taken for where their size is not known along z and x.

    >>> size_notes(Spacing(2.0, 0.5, 0.5)), len(size_notes(Spacing(2.0, 0.5, 0.5, known=False)))
    ((), 1)
    """
    if spacing.in_um("z") and spacing.in_um("x"):
        return ()
    if spacing.compares("z") and spacing.anisotropy != 1:
        taken = f"voxels are taken as {spacing.anisotropy:g} times as long along z as along x"
    else:
        taken = "voxels are taken as equally long along z and x"
    return (f"voxel size {spacing.described().removeprefix('size ')}: {taken}; --anisotropy says otherwise",)


def _block(request: Request, extent: tuple[int, int, int]) -> tuple[int, int, int]:
    if request.block is None:
        return default_block(extent)
    block: Sequence[int] = request.block
    if len(block) == 2:
        block = (1, *block)
    z, y, x = (block[0], block[1], block[2]) if len(block) == 3 else (0, 0, 0)
    return (z, y, x)


def _check_flows(given: Volume, image: Volume | None) -> None:
    wanted = 4 if given.extent[0] > 1 else 3
    if len(given.channels) not in (4, wanted):
        raise InputError(
            f"the flows have {len(given.channels)} channels; wanted {wanted}: "
            f"{'dz, ' if wanted == 4 else ''}dy, dx, cell probability"
        )
    if given.dtype.kind != "f" and not _kept_by_us(given):
        raise InputError(
            f"the flows have dtype {given.dtype}; wanted floats, five times unit length as Cellpose has them"
        )
    if image is not None and image.extent != given.extent:
        raise InputError(
            f"the flows have extent {given.extent}, the image {image.extent} (z, y, x): give flows of the same level"
        )


def _kept_by_us(given: Volume) -> bool:
    """Whether these are the integer flows of an earlier run."""
    info = getattr(given, "info", None)
    return given.dtype == "int16" and info is not None and info.holds == HOLDS and len(given.channels) == 4


def _identity(volume: Volume | None) -> dict[str, Any]:
    if volume is None:
        return {}
    identity = getattr(volume, "identity", None)
    if identity is None:
        return {
            "source": "array in memory",
            "shape": [len(volume.channels), *volume.extent],
            "dtype": str(volume.dtype),
        }
    found: dict[str, Any] = identity()
    return found
