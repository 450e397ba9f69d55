"""The words: boxes, spacing, volumes, errors. numpy only; nothing is below it."""
