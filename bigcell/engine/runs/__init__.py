"""A run at rest: its folder, its inputs, and how it is taken up again."""
