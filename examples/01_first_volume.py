"""A first volume, end to end: make a sample OME-Zarr, segment it block by block, measure it, look at it.

    python examples/01_first_volume.py [--view] [--folder demo-output] [--extent 30 144 144]

The sample has some three hundred nuclei, many of them touching, with voxels twice as long in z as in x.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import bigcell
from bigcell.cli.progress import Progress
from bigcell.core.box import Box
from bigcell.io.ngff.write_image import write_image
from bigcell.metrics.matching import compare
from bigcell.synthetic import look_of, sample_volume, tissue_of
from bigcell.viewers.figures import slices_figure

DIAMETER = 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--view", action="store_true", help="keep serving the neuroglancer link")
    parser.add_argument("--folder", type=Path, default=Path("demo-output"))
    parser.add_argument("--extent", type=int, nargs=3, default=(30, 144, 144))
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)

    sample = sample_volume(
        tuple(options.extent), diameter=DIAMETER, spacing=(1.0, 0.5, 0.5), seed=11,
        look=look_of("nuclei"), tissue=tissue_of("nuclei"),
    )  # fmt: skip
    store = write_image(options.folder / "sample.zarr", sample.volume, levels=2, overwrite=True)
    print(f"sample   {store}: {sample.labels.max()} nuclei, {' x '.join(map(str, sample.labels.shape))} voxels")

    wanted = {"diameter": "8.5um", "block": (16, 80, 80), "tile": 112}
    print(bigcell.plan(store, workers=2, **wanted))
    begun = time.perf_counter()
    with Progress() as progress:
        result = bigcell.segment(store, workers=2, cluster="local", listener=progress, **wanted)
    seconds = time.perf_counter() - begun

    volume = bigcell.open_volume(result.path)
    labels = volume.read(Box.of(volume.extent))[0]
    found = compare(sample.labels, labels)
    report = {
        "objects": result.objects, "true nuclei": int(sample.labels.max()), "seconds": round(seconds, 1),
        "F1 at IoU 0.5": round(found.f1, 3), "precision": round(found.precision, 3),
        "recall": round(found.recall, 3), "mean IoU of matches": round(found.mean_iou, 3),
    }  # fmt: skip
    (options.folder / "report.json").write_text(json.dumps(report, indent=1))
    for name, value in report.items():
        print(f"{name:<20} {value}")
    picture = slices_figure(
        sample.image, labels.astype(np.int64), options.folder / "slices.png",
        spacing=sample.spacing, title=f"{result.objects} nuclei, F1 {found.f1:.3f}",
    )  # fmt: skip
    print(f"labels   {result.path}\npicture  {picture}\nreport   {result.path}/report.html")

    with bigcell.view(store) as shown:
        print(f"view     {shown.url}")
        if options.view:
            shown.wait()
        else:
            print("         (./scripts/demo --view keeps serving it; or: bigcell view " + str(store) + ")")


if __name__ == "__main__":
    main()
