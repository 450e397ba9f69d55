"""ngio."""

import ngio
from telling import Facts, digest, tell
from zipped import open_group


def look(place: str) -> Facts:
    if "/labels/" in place:
        levels = [ngio.open_label(open_group(place), path=path, mode="r") for path in ("0", "1")]
        channels = None
    else:
        held = ngio.open_ome_zarr_container(open_group(place), mode="r")
        levels = [held.get_image(path=path) for path in held.level_paths]
        channels = held.channel_labels if "c" in levels[0].axes else None
    sizes = [level.pixel_size for level in levels]
    return {
        "axes": "".join(levels[0].axes),
        "scale": [{axis: getattr(size, axis) for axis in "zyx"} for size in sizes],
        "units": dict.fromkeys("zyx", sizes[0].space_unit),
        "channels": channels,
        "dtype": str(levels[0].dtype),
        "voxels": [digest(level.get_as_numpy()) for level in levels],
    }


if __name__ == "__main__":
    tell(look)
