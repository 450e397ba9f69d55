"""Labels in a store: where they go, how they are written, and how they get their name."""
