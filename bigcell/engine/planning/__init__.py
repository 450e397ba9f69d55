"""What is asked for becomes a plan; no task runs."""
