"""What the small scripts beside share: each opens the stores that it is given with one reader, and tells what it saw.

They run in the readers' own environments, where there is no bigcell. `tell` writes JSON: for each store facts, as
`tests/readers/stores.py` names them (none for what a reader has no word for), or the error that it raised.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np

Facts = dict[str, Any]


def tell(look: Callable[[str], Facts]) -> None:
    """`look` at every store that the command line names."""
    said = {}
    for place in sys.argv[1:]:
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("always")
            try:
                facts = look(place)
            except Exception as error:  # whatever a reader raises is what it has to say of this store
                facts = {"error": f"{type(error).__name__}: {error}"}
        said[place] = {**facts, "warnings": sorted({str(w.message)[:200] for w in caught})}
    json.dump(said, sys.stdout)


def digest(voxels: Any) -> str:
    """Of voxels in the order of the file's axes."""
    return sha256(np.ascontiguousarray(voxels).tobytes()).hexdigest()


def by_axis(axes: Any, values: Any) -> dict[str, Any]:
    """What is said of each axis of space."""
    return {axis: value for axis, value in zip(axes, values, strict=True) if axis in "zyx"}
