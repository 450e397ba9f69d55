"""Two label volumes of any size, compared block by block."""
