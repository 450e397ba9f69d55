"""Where: blocks of work over a volume, the network's tile lattice, and integer blending."""
