"""The page of a training: curves, scores, settings, and planes with their true and their found outlines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from bigcell.core.box import Box
from bigcell.core.format import duration
from bigcell.core.volume import Array
from bigcell.flows.runner import Runner
from bigcell.report.colours import blend, outlines, stretch
from bigcell.report.curves import Curve, curve, steps_axis
from bigcell.report.facts import Picture
from bigcell.report.html import details, document, figures, heading, part, picture, section, table
from bigcell.training.crops.source import Source
from bigcell.training.loop.state import Row
from bigcell.training.loop.validate import Scores, planes_of, segment_plane
from bigcell.training.output.card import short_name

WINDOW = 256
"""Pixels along a side of a picture, at most."""
GAP = 4
"""Pixels between the three pictures of a row."""


def training_page(card: Mapping[str, Any], history: Sequence[Row], pictures: Sequence[Picture]) -> str:
    """The page as one HTML file that loads nothing."""
    return document("Training", _parts(card, history, pictures))


def _parts(card: Mapping[str, Any], history: Sequence[Row], pictures: Sequence[Picture]) -> Iterable[Markup]:
    net, scores = card["network"], card["scores"]
    head = [
        ("network", f"{net['kind']}, {net['channels']} channels, cells of {net['diameter']:g} pixels"),
        ("begun with", str(card["start"]["from"])),
        ("steps", f"{card['steps']} in {duration(card['seconds'])}, the best at {card['best_step']}"),
        ("licence", str(card["licence"])),
    ]
    if scores is not None:
        head.append(("average precision", f"{scores['ap50']:.3f} at IoU 0.5, {scores['ap']:.3f} over 0.5 to 0.95"))
        head.append(("F1 at IoU 0.5", f"{scores['f1']:.3f}, over {scores['planes']} planes"))
    yield heading(f"A model for cells of {net['diameter']:g} pixels", head)
    yield _curves(history)
    if pictures:
        about = "Image, true outlines, outlines found, of planes that the network did not learn from."
        yield section("Best, median and worst", about, figures(pictures, wide=True))
    rows = [
        (row["name"], str(row["images"]), f"{100 * row['share']:.1f}", row["probe"] or "-") for row in card["train"]
    ]
    learned = table("Sources, in the order that they were given", ("source", "images", "share", "fingerprint"), rows)
    yield section("Learned from", "The share, in parts in 100, is that of the crops.", learned)
    settings = [(k, str(v)) for k, v in card["settings"].items() if k != "augmentation"]
    settings += [(k, str(v)) for k, v in card["settings"]["augmentation"].items()]
    again = part("command", "The same again", card["command"]) if card["command"] else Markup("")
    versions = ", ".join(f"{name} {text}" for name, text in card["versions"].items())
    yield section("How it was made", versions, again + table("Settings", ("setting", "value"), settings))


def _curves(history: Sequence[Row]) -> Markup:
    if not history:
        return Markup("")
    whole = history[-1].step
    losses = [(r.step, r.loss) for r in history]
    seen = [(r.step, r.validation_loss) for r in history if r.validation_loss is not None]
    said = f"training {losses[-1][1]:.3f}" + (f", validation (second line) {seen[-1][1]:.3f}" if seen else "")
    frames = [curve(Curve("loss", said, (losses, seen)), whole)]
    at50 = [(r.step, r.ap50) for r in history if r.ap50 is not None]
    mean = [(r.step, r.ap) for r in history if r.ap is not None]
    if at50:
        said = f"at IoU 0.5 {at50[-1][1]:.3f}, over 0.5 to 0.95 (second line) {mean[-1][1]:.3f}"
        frames.append(curve(Curve("average precision", said, (at50, mean)), whole, 1.0))
    frames.append(curve(Curve("rate", f"{history[-1].rate:.2e}", ([(r.step, r.rate) for r in history],)), whole))
    names = ("step", "loss", "validation loss", "AP@0.5", "AP", "F1")
    rows = [(str(r.step), *(_number(v) for v in (r.loss, r.validation_loss, r.ap50, r.ap, r.f1))) for r in history]
    listed = details("In numbers", table("Every row of metrics.csv", names, rows))
    about = "Over the steps. The loss of training is that of crops, the other of whole planes."
    return section("Curves", about, Markup("").join(frames) + steps_axis(whole) + listed)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def example_pictures(runner: Runner, sources: Sequence[Source], scores: Scores) -> tuple[Picture, ...]:
    """The best, the median and the worst plane of `scores`, segmented again: image, truth, found."""
    order = np.argsort(np.array(scores.each), kind="stable")[::-1]
    wanted: dict[int, str] = {}
    for word, place in (("best", order[0]), ("median", order[len(order) // 2]), ("worst", order[-1])):
        wanted.setdefault(int(place), word)
    made = {}
    for place, (name, plane) in enumerate(planes_of(sources)):
        if place in wanted:
            found = segment_plane(runner, plane)
            counts = f"{_count(plane.labels)} true cells, {_count(found.labels)} found"
            shown = short_name(plane.name or name)
            caption = f"{wanted[place]}: {shown}, {counts}, average precision {found.ap50:.3f}"
            made[place] = picture(_panels(plane.image, plane.labels, found.labels), caption)
    return tuple(made[place] for place in wanted)


def _count(labels: Array) -> int:
    return int(np.count_nonzero(np.unique(labels)))


def _panels(image: Array, truth: Array, found: Array) -> Array:
    """Three pictures in a row: RGB 0..1. Of a large plane its middle."""
    shown = Box.middle(truth.shape, (WINDOW, WINDOW))
    image = image[(slice(None), *shown.slices)]
    image = image[[bool(channel.any()) or not i for i, channel in enumerate(image)]]
    scale = max(1, WINDOW // max(shown.shape))
    size = (shown.shape[0] * scale, shown.shape[1] * scale)
    base = blend(image, stretch([image]), size)
    gap = np.ones((size[0], GAP, 3), np.float32)
    drawn = [outlines(base, labels[shown.slices], width=1) for labels in (truth, found)]
    return np.concatenate([base, gap, drawn[0], gap, drawn[1]], axis=1)
