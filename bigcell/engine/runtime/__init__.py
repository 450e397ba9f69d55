"""Who runs tasks, and how a run is watched."""
