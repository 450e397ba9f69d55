"""Pixels that are not OME-Zarr: TIFF, pictures, .npy files and arrays of other libraries; `convert`."""
