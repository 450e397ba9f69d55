"""Comparable voxels: statistics of the whole volume, normalisation, resampling to the network's grid."""
