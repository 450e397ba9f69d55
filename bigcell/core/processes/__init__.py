"""Worker processes: how they start, what reaches them, and what must not interrupt them."""
