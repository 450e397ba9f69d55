"""One labelled image: opened, measured, and seen as planes."""
