"""Flow field to labels, in integers: follow, find sinks, name. The same bits on any machine and for any blocks."""
