"""Options about the network's flows, as asked for, become settings of tiles and flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bigcell.core.errors import ModelError, SettingsError
from bigcell.engine.planning.request import Request
from bigcell.flows.settings import FlowSettings
from bigcell.tiling.lattice import TileSettings

OVERLAP = {"even": 0.15, "cellpose": 0.1}
"""The least overlap of tiles when none is asked for; Cellpose's own is a tenth."""


def three(name: str, value: Any) -> tuple[float, float, float]:
    """One number for all axes, or three.

    >>> three("flow3D_smooth", 2), three("flow3D_smooth", [2, 1, 1])
    ((2.0, 2.0, 2.0), (2.0, 1.0, 1.0))
    """
    try:
        values = (
            [float(v) for v in value] if isinstance(value, Sequence) and not isinstance(value, str) else [float(value)]
        )
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{name} {value!r}: wanted one number or three, as in (2, 1, 1)") from error
    if len(values) not in (1, 3):
        raise SettingsError(f"{name} {value!r}: wanted one number or three, as in (2, 1, 1)")
    a, b, c = values if len(values) == 3 else values * 3
    return a, b, c


def flow_settings(request: Request) -> FlowSettings:
    """The settings of flows, but for the precision, which the model and the machine decide."""
    return FlowSettings(
        views=request.views,
        view_weights=three("view_weights", request.view_weights),
        augment=request.augment,
        smooth=three("flow3D_smooth", request.flow3D_smooth),
        precision="bfloat16" if request.precision == "bfloat16" else "float32",
    )


def tile_settings(request: Request, fixed: int | None = None, *, resizable: bool = False) -> TileSettings:
    """The settings of tiles for a network that takes any side (`fixed` None), or `fixed` alone.

    One that is `resizable` takes what is asked for instead, but all tiles alike: its answers depend on their side.
    """
    if fixed is not None and not resizable and request.tile not in (None, fixed):
        raise SettingsError(
            f"tile {request.tile}: this model takes tiles of {fixed} pixels and no others; leave it out"
        )
    overlap = OVERLAP.get(request.tile_layout, 0.0) if request.tile_overlap is None else request.tile_overlap
    return TileSettings(
        size=request.tile or fixed or 224,
        overlap=overlap,
        batch=request.batch,
        layout=request.tile_layout,
        fixed=fixed is not None,
        mirrored=request.augment and request.tile_layout == "cellpose",
    )


def check_ortho(model: Any, ortho: Any) -> None:
    """Refuse a network for the views zx and zy that cannot stand beside that for yx."""
    for what in ("channels", "diameter", "tile"):
        found, wanted = getattr(ortho, what), getattr(model, what)
        if found != wanted:
            raise ModelError(
                f"model_ortho {ortho.name!r} has {what} {found}, model {model.name!r} has {wanted}: both see the same "
                "grid, so give two that were trained alike"
            )
