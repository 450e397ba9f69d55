"""ome-zarr-models: metadata alone, checked against its model of them; voxels are left to zarr."""

from typing import Any

import ome_zarr_models
from telling import Facts, by_axis, tell
from zipped import open_group


def look(place: str) -> Facts:
    group = open_group(place)
    held: Any = ome_zarr_models.open_ome_zarr(group)
    about = getattr(held, "ome_attributes", held.attributes)
    multiscale, omero = about.multiscales[0], getattr(about, "omero", None)
    axes = multiscale.axes if hasattr(multiscale, "axes") else multiscale.intrinsic_coordinate_system.axes
    names = "".join(axis.name for axis in axes)
    return {
        "axes": names,
        "scale": [by_axis(names, _scale(dataset)) for dataset in multiscale.datasets],
        "units": by_axis(names, [axis.unit for axis in axes]),
        "channels": _names(omero) if "c" in names else None,
        "dtype": None,
        "voxels": None,
    }


def _names(omero: Any) -> list[str] | None:
    """Since 0.5 the model takes `omero` as it is."""
    channels = omero.get("channels") if isinstance(omero, dict) else getattr(omero, "channels", None)
    return [c["label"] if isinstance(c, dict) else c.label for c in channels] if channels else None


def _scale(dataset: Any) -> Any:
    first = dataset.coordinateTransformations[0]
    steps = getattr(first, "transformations", dataset.coordinateTransformations)
    return next(step.scale for step in steps if step.type == "scale")


if __name__ == "__main__":
    tell(look)
