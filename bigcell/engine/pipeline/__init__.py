"""In which order tasks run, and what happens when one fails."""
