"""Shipped for tests, demos and people who write their own parts: synthetic volumes and flows with known truth."""
