"""Fit a network to labelled images."""
