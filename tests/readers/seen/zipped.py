"""A group of a store in a folder or, for readers that take zarr's groups, in a zip."""

import zarr


def open_group(place: str) -> zarr.Group:
    archive, ending, inside = place.partition(".ozx")
    store = zarr.storage.ZipStore(archive + ending, mode="r") if ending else place
    return zarr.open_group(store, path=inside.strip("/"), mode="r")
