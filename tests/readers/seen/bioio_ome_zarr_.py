"""bioio-ome-zarr. It gives every image as tczyx; what the image lacks is left out here."""

from bioio_ome_zarr import Reader
from telling import Facts, digest, tell


def look(place: str) -> Facts:
    reader = Reader(place)
    axes = reader.dims.order.lower()
    scales, voxels = [], []
    for level in reader.resolution_levels:
        reader.set_resolution_level(level)
        sizes = reader.physical_pixel_sizes
        scales.append({axis: getattr(sizes, axis.upper(), None) for axis in "zyx"})
        voxels.append(digest(reader.data))
    about = reader.dimension_properties
    return {
        "axes": axes,
        "scale": scales,
        "units": {axis: _unit(getattr(getattr(about, axis.upper(), None), "unit", None)) for axis in "zyx"},
        "channels": reader.channel_names if "c" in axes else None,
        "dtype": str(reader.dtype),
        "voxels": voxels,
    }


def _unit(unit: object) -> object:
    return {"µm": "micrometer", "micron": "micrometer"}.get(str(unit), None if unit is None else str(unit))


if __name__ == "__main__":
    tell(look)
