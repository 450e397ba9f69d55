"""One HTML page about a run: what it made, how long each part took, whether blocks left traces. It knows no paths."""
