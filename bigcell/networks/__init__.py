"""What is learned: the network, its checkpoints, the models that come with bigcell."""
