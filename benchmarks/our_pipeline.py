"""bigcell over a store, for ./scripts/bench.

python our_pipeline.py exact|network SET_FOLDER BLOCK DIAMETER OUT
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import bigcell


def main() -> None:
    what, folder, block, diameter, out = sys.argv[1:]
    given: dict[str, Any] = {"flows": Path(folder, "flows.zarr")}
    if what == "network":
        model = Path(folder).with_name("network") / "cpnet.pt"
        given = {"image": Path(folder, "image.zarr"), "model": str(model), "diameter": float(diameter)}
        given |= {"precision": "float32"}
    shape = tuple(int(n) for n in block.split(","))
    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        result = bigcell.segment(**given, output=Path(home, "out.zarr"), block=shape, workers=2, cluster="local")
        seconds = time.perf_counter() - start
        found = bigcell.open_volume(result.path)
        np.savez(Path(out).with_suffix(".npz"), labels=found.read(found.region)[0])
    stages = {name: stage["seconds"] for name, stage in result.stages.items()}
    Path(out).with_suffix(".json").write_text(json.dumps({"seconds": seconds, "stages": stages}))


if __name__ == "__main__":
    main()
