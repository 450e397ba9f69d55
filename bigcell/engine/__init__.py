"""Plans a run, does it task by task, and takes it up again after any end."""
