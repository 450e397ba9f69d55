"""How a model fares as images get worse: F1 at IoU 0.5 against noise, blur, anisotropy, diameter and density.

    python benchmarks/robustness.py [--model FILE] [--kind nuclei] [--out robustness] [--only noise] [--seeds 2]

Synthetic volumes of 64 x 128 x 128 cubic voxels (fewer planes where voxels are longer in z) and planes of 256 x 256,
with exact truth; one thing is varied, all else is as `look_of(kind)` and `tissue_of(kind)` have it, cells are 17 voxels
wide, and the model is told so, but in the curve of the diameter. Long cells have planes only. Counts of several seeds
are added up. Writes a CSV and an SVG for each kind into --out, and prints Markdown tables.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import bigcell
from bigcell.core.errors import SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.metrics.matching import Matching, compare, pooled
from bigcell.synthetic import KINDS, Look, Spindles, SyntheticVolume, Tissue, look_of, sample_volume, tissue_of

DIAMETER = 17.0
DEPTH, SIDE, PLANE = 64, 128, 256


@dataclass(frozen=True)
class Trial:
    """What is made, and what the model is told of it."""

    look: Look
    tissue: Tissue | Spindles
    planes: bool
    stretch: float = 1.0
    told: float = 1.0


@dataclass(frozen=True)
class Point:
    """A point of a curve: counts of all its images together."""

    curve: str
    dimensions: str
    value: float
    cells: int
    found: int
    precision: float
    recall: float
    f1: float


def noisier(trial: Trial, noise: float) -> Trial:
    return replace(trial, look=replace(trial.look, camera=replace(trial.look.camera, noise=noise)))


def blurrier(trial: Trial, blur: float) -> Trial:
    return replace(trial, look=replace(trial.look, optics=replace(trial.look.optics, blur=blur)))


def longer(trial: Trial, stretch: float) -> Trial:
    return replace(trial, stretch=stretch)


def mistold(trial: Trial, told: float) -> Trial:
    return replace(trial, told=told)


def filled(trial: Trial, part: float) -> Trial:
    return replace(trial, tissue=replace(trial.tissue, filled=part))


Change = Callable[[Trial, float], Trial]
CURVES: dict[str, tuple[str, Change, tuple[float, ...]]] = {
    "noise": ("noise (1: a usual camera; photons fall with its square)", noisier, (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)),
    "blur": ("blur (sigma in cell diameters, twice that in z)", blurrier, (0.0, 0.03, 0.06, 0.1, 0.15, 0.2)),
    "anisotropy": ("anisotropy (voxel size z / x)", longer, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
    "diameter": ("diameter given / true", mistold, (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)),
    "density": ("density (part of the sites filled)", filled, (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)),
}


def made(trial: Trial, seed: int) -> SyntheticVolume:
    """The image and the truth of `trial`."""
    extent = (1, PLANE, PLANE) if trial.planes else (math.ceil(DEPTH / trial.stretch), SIDE, SIDE)
    spacing = (trial.stretch, 1.0, 1.0)
    return sample_volume(extent, diameter=DIAMETER, spacing=spacing, seed=seed, look=trial.look, tissue=trial.tissue)


def tried(trial: Trial, model: str, seed: int) -> Matching:
    """How the model's labels match the truth."""
    sample = made(trial, seed)
    image = ArrayVolume(sample.image, sample.spacing, sample.channels)
    found = bigcell.segment(image, model=model, diameter=DIAMETER * trial.told)
    return compare(sample.labels, found.labels.reshape(sample.labels.shape))


def curve(name: str, planes: bool, options: argparse.Namespace) -> Iterator[Point]:
    """The points of one curve. A plane has no voxels that are long in z."""
    _, change, values = CURVES[name]
    if planes and name == "anisotropy":
        return
    plain = Trial(look_of(options.kind), tissue_of(options.kind), planes)
    for value in values:
        each = [tried(change(plain, value), options.model, 100 + s) for s in range(options.seeds)]
        both, dimensions = pooled(each), "2-D" if planes else "3-D"
        yield Point(name, dimensions, value, both.n_truth, both.n_found, both.precision, both.recall, both.f1)


def write_csv(points: list[Point], path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(f.name for f in fields(Point))
        rows.writerows([f"{v:.4g}" if isinstance(v, float) else v for v in astuple(p)] for p in points)


def draw(points: list[Point], path: Path, title: str) -> None:
    """A panel for each curve, as SVG without a date, so that the same figures give the same file."""
    names = [name for name in CURVES if any(p.curve == name for p in points)]
    figure = Figure(figsize=(3.1 * len(names), 2.9), layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(title, fontsize=10)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False, sharey=True)[0], names, strict=True):
        for kind, mark in (("2-D", "C0o-"), ("3-D", "C1s--")):
            drawn = [(p.value, p.f1) for p in points if p.curve == name and p.dimensions == kind]
            if drawn:
                axes.plot(*zip(*drawn, strict=True), mark, markersize=4, label=kind)
        axes.set(ylim=(0, 1.02), xlabel=CURVES[name][0].split(" (")[0])
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("F1 at IoU 0.5")
    figure.axes[0].legend(fontsize=8)
    with matplotlib.rc_context({"svg.hashsalt": "bigcell", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def table(points: list[Point]) -> str:
    """Markdown: a small table for each curve."""
    parts = []
    for name, (title, _, values) in CURVES.items():
        rows = []
        for kind in ("2-D", "3-D"):
            scores = {p.value: p.f1 for p in points if p.curve == name and p.dimensions == kind}
            if scores:
                rows.append(f"| F1, {kind} | " + " | ".join(f"{scores[v]:.3f}" for v in values) + " |")
        if rows:
            head = f"| {title} | " + " | ".join(f"{v:g}" for v in values) + " |"
            parts.append("\n".join([head, "|---" * (len(values) + 1) + "|", *rows]))
    return "\n\n".join(parts)


def measured(names: Sequence[str], options: argparse.Namespace) -> list[Point]:
    """All the points of the curves `names`, told as they come."""
    points: list[Point] = []
    for name in names:
        for planes in (True, False) if options.kind != "spindly" else (True,):
            for point in curve(name, planes, options):
                print(f"{name} {point.value:g} {point.dimensions}: F1 {point.f1:.3f}, {point.cells} cells", flush=True)
                points.append(point)
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="instead of the model that ships for a kind")
    parser.add_argument("--kind", choices=KINDS, action="append", help="all, if not given")
    parser.add_argument("--out", type=Path, default=Path("robustness"))
    parser.add_argument("--only", choices=list(CURVES), action="append")
    parser.add_argument("--seeds", type=int, default=1, help="images to a point")
    given = parser.parse_args()
    if given.seeds < 1:
        raise SettingsError(f"--seeds {given.seeds}: wanted at least one image to a point")
    given.out.mkdir(parents=True, exist_ok=True)
    for kind in given.kind or KINDS:
        model = given.model or ("nuclei" if kind == "nuclei" else "cyto")
        points = measured(given.only or list(CURVES), argparse.Namespace(kind=kind, model=model, seeds=given.seeds))
        stem = f"robustness-{Path(model).stem}-{kind}"
        write_csv(points, given.out / f"{stem}.csv")
        draw(points, given.out / f"{stem}.svg", f"{Path(model).stem}, {kind}")
        print(f"\n{Path(model).stem}, {kind}\n\n{table(points)}\n", flush=True)


if __name__ == "__main__":
    main()
