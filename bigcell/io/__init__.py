"""At rest: OME-Zarr in and out, other formats in, label stores, pyramids and object tables. Alone knows paths."""
