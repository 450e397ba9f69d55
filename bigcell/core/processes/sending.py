"""Functions and data as bytes for another process, which may know nothing of the user's script."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle


def dumps(value: Any) -> bytes:
    """`value` pickled; what is defined in the script, or has no name, goes by its code. Read by `pickle.loads`."""
    try:
        content = pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError):  # a lambda, say
        content = b"__main__"
    if b"__main__" in content:
        content = cloudpickle.dumps(value)
    return content
