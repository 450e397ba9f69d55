"""A training from its first step to the model that is kept: learn, look, save, and go on after any end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from bigcell.core.errors import InputError, OutputError, PlanError, SettingsError
from bigcell.core.paths import local_path
from bigcell.core.settings import to_dict
from bigcell.flows.runner import choose_precision
from bigcell.provenance.fingerprint import difference
from bigcell.training.crops.batches import Batches
from bigcell.training.crops.source import Source, check_channels
from bigcell.training.loop.events import Begun, Listener, Looked, Said, Stepped, ignore
from bigcell.training.loop.initialise import begin, described, typical_diameter
from bigcell.training.loop.optimise import Learner
from bigcell.training.loop.ranks import Ranks, joined
from bigcell.training.loop.state import CHECKPOINT, Row, State, load_state, save_state
from bigcell.training.loop.threads import kept_threads
from bigcell.training.loop.validate import Scores, runner_of, validate
from bigcell.training.output.history import write_metrics
from bigcell.training.output.result import MODEL, Trained, write_result
from bigcell.training.settings import TrainingSettings
from bigcell.training.stacks.labelled_planes import Batch

ALGORITHM = 1
"""Raised when the same settings and data no longer give the same weights."""


@dataclass(frozen=True)
class Data:
    """What a network learns from, and what it is looked at with (nothing: it is not looked at)."""

    train: Sequence[Source]
    validation: Sequence[Source] = ()


def run_training(
    data: Data,
    out: str | Path,
    settings: TrainingSettings = TrainingSettings(),  # noqa: B008 (frozen)
    *,
    start: str | Path | None = None,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
    workers: int = 1,
    listener: Listener = ignore,
) -> Trained:
    """Train a network on `data` and keep the best in the folder `out`: ``model.safetensors``, with a card and a page.

    `start`: the model to begin with, by name or path; None: from scratch. `resume`: go on where the checkpoint in `out`
    stands; it ends with the weights that it would have had undisturbed, and it refuses other settings or data.
    `about`: plain values that are kept with the checkpoint (`command`, `licence` and `added` go to the card).
    `workers` make batches ahead of use: one is a thread, more are processes; they do not change what is made.

    Started by torchrun, every process takes its part of each batch.
    """
    out = local_path(out)
    with joined() as ranks, _deterministic(settings.deterministic, ranks.device):
        with kept_threads():
            course = _begun(data, out, settings, start, ranks)
        course.listener, course.workers = listener if ranks.first else ignore, workers
        course.enter(resume, dict(about or {}))
        course.go()
        return course.finish()


@contextmanager
def _deterministic(wanted: bool, device: torch.device) -> Iterator[None]:
    """Only algorithms that give the same bits each time, where `wanted`."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if wanted:
        torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _begun(data: Data, out: Path, settings: TrainingSettings, start: str | Path | None, ranks: Ranks) -> Trainer:
    """All that is refused is refused here, before any work."""
    if not data.train:
        raise InputError("no training data were given; wanted at least one labelled image")
    if settings.patience and not data.validation:
        raise SettingsError("patience counts validations, and there are no validation data: give some, or leave it out")
    ranks.check_batch(settings.batch)
    network, settled, origin = begin(settings, start)
    check_channels(data.validation, network.channels)
    batches = Batches(data.train, settled.augmentation, settled.batch, settled.seed, channels=network.channels)
    with torch.no_grad():
        network.diam_labels.fill_(typical_diameter(data.train))
    precision = choose_precision(settled.precision, ranks.device)
    network.to(ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = Learner(network, settled, precision, ranks.share(network))
    known = {
        "algorithm": ALGORITHM,
        "settings": to_dict(settled),
        "start": origin,
        "precision": precision,
        "train": _by_name(described(data.train, settled)),
        "validation": [source.name for source in data.validation],
    }
    return Trainer(out, settled, data.validation, batches, ranks, learner, State(_plain(known)))


def _by_name(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One entry for each source, also where names are alike."""
    return {f"{i + 1} {row['name']}": row for i, row in enumerate(rows)}


def _plain(values: Any) -> Any:
    """As JSON gives it back: tuples are lists."""
    if isinstance(values, Mapping):
        return {str(k): _plain(v) for k, v in values.items()}
    return [_plain(v) for v in values] if isinstance(values, list | tuple) else values


@dataclass
class Trainer:
    """A training that is under way."""

    out: Path
    settings: TrainingSettings
    validation: Sequence[Source]
    batches: Batches
    ranks: Ranks
    learner: Learner
    state: State
    listener: Listener = ignore
    workers: int = 1

    def enter(self, resume: bool, about: dict[str, Any]) -> None:
        """Take the folder, or take up what stands in it."""
        self.state.about = about
        if resume:
            self._take_up()
        elif self.ranks.first:
            claim(self.out)
        self.listener(Begun(self.state.step, self.settings.total, self._what(), str(self.out)))

    def _take_up(self) -> None:
        state, tensors = load_state(self.out)
        changed = difference(state.known, self.state.known)
        if changed:
            raise PlanError(
                f"{self.out} was begun otherwise ({'; '.join(changed)}): put that back, or train into another folder"
            )
        try:
            self.learner.restore(tensors)
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{self.out / CHECKPOINT} does not fit its own settings ({error}); is it whole?"
            ) from error
        self.state = state

    def _what(self) -> str:
        network = self.learner.network
        weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
        on = f"{self.ranks.count} x {self.ranks.device.type}" if self.ranks.count > 1 else self.ranks.device.type
        return f"{network.kind}, {weights / 1e6:.2f} million weights, {self.learner.precision} on {on}"

    def go(self) -> None:
        """All steps that are left."""
        began = time.monotonic()
        for batch in self._batches():
            self._step(batch)
            self.state.seconds += time.monotonic() - began
            with kept_threads():
                self._after_step()
            if self.state.ended:
                break
            began = time.monotonic()

    def _batches(self) -> Iterator[Batch]:
        """Those of the steps that are left, made ahead of use."""
        first = self.settings.total if self.state.ended else self.state.step
        return self.batches.ahead(
            first,
            self.settings.total,
            workers=self.workers,
            processes=self.workers > 1,
            rank=self.ranks.rank,
            of=self.ranks.count,
        )

    def _after_step(self) -> None:
        """Look and save, where it is time to."""
        s, last = self.settings, self.state.step == self.settings.total
        validated = last or self._is_due(s.validate_every or s.epoch_steps)
        if validated or self._is_due(s.epoch_steps):
            self._look(validated=validated)
        if last or self.state.ended or self._is_due(s.save_every or s.epoch_steps):
            self._save()

    def _is_due(self, every: int) -> bool:
        return self.state.step % every == 0

    def _step(self, batch: Batch) -> None:
        state, ranks = self.state, self.ranks
        loss = self.learner.learn(batch, state.step, ranks)
        if not isfinite(loss):
            raise self._lost(loss)
        state.step += 1
        state.loss_sum += loss
        state.loss_count += 1
        self.listener(Stepped(state.step, self.settings.total, loss))

    def _lost(self, loss: float) -> SettingsError:
        names = self.batches.names(self.state.step)
        return SettingsError(
            f"the loss is {loss} at step {self.state.step + 1}, in a batch of {', '.join(names)}: lower the rate "
            f"({self.settings.rate:g}), take precision float32, or look whether these images hold such numbers"
        )

    def _look(self, *, validated: bool) -> None:
        """A row of the history; with the scores of the averaged network, where it is `validated`."""
        state, scores, best = self.state, None, False
        if validated and self.validation and self.ranks.first:
            scores = validate(runner_of(self.learner.average, self.ranks.device), self.validation)
            best = self._judge(scores)
        state.ended = "early" if validated and self.ranks.told(state.ended == "early") else ""
        row = Row(
            state.step,
            round(state.step * self.settings.batch / self.settings.epoch, 3),
            self.settings.rate_at(state.step - 1),
            state.loss_sum / max(1, state.loss_count),
            round(state.seconds, 1),
            *((scores.loss, scores.ap50, scores.ap, scores.f1) if scores else ()),
        )
        state.loss_sum, state.loss_count = 0.0, 0
        state.history.append(row)
        if self.ranks.first:
            write_metrics(self.out, state.history)
        self.listener(Looked(row, best))

    def _judge(self, scores: Scores) -> bool:
        """Whether these are the best weights so far; says when it is time to end."""
        state = self.state
        best = state.best_score is None or scores.ap > state.best_score
        if best:
            state.best_step, state.best_score, state.stale = state.step, scores.ap, 0
            state.best = {name: value.detach().cpu().clone() for name, value in self.learner.average.items()}
        else:
            state.stale += 1
        if self.settings.patience and state.stale >= self.settings.patience:
            state.ended = "early"
        return best

    def _save(self) -> None:
        if self.ranks.first:
            save_state(self.out, self.state, self.learner.tensors())

    def finish(self) -> Trained:
        """The model of the best weights, with its card and its page."""
        state = self.state
        if not self.ranks.first:
            return Trained(self.out / MODEL, state.step, state.best_step or state.step)
        if state.ended:
            self.listener(Said(f"ended early: no better average precision in {state.stale} validations"))
        weights = state.best or self.learner.average
        return write_result(self.out, state, weights, self.settings, self.validation, self.ranks.device)


def claim(out: Path) -> None:
    """Make the folder `out`; OutputError where a training stands in it already."""
    if (out / CHECKPOINT).exists() or (out / MODEL).exists():
        raise OutputError(f"{out} holds a training already: go on with it (--resume), or give another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made a folder ({error}); give another one") from error
