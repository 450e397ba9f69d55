"""What one task does: one file a kind of task, and the table of all stages."""
