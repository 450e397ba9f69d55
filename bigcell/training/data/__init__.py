"""Which images are learned from: folders, volumes, configuration files, and what is held back."""
