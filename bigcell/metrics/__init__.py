"""How well two labellings agree."""
