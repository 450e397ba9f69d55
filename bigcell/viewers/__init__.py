"""Doors to look through: neuroglancer in the browser, figures on paper."""
