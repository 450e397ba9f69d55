"""Lends hands: the executor on dask."""
