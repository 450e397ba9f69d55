"""OME-Zarr images: metadata, levels, chunks, pyramids; read, written and sampled."""
