"""`bigcell train`: labelled images in, a model out."""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from bigcell.cli import options as o
from bigcell.cli.ending import ENDING
from bigcell.core.format import command, duration

if TYPE_CHECKING:
    from bigcell.training.loop.events import Begun, Event, Looked
    from bigcell.training.output.result import Trained


def _option(name: str, metavar: str | None, help: str) -> Any:
    return typer.Option(name, metavar=metavar, help=help, show_default=False)


def _flag(name: str, help: str) -> Any:
    return typer.Option(name, help=help, show_default=False)


def train(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="A folder, an OME-Zarr with labels, or a TOML file.")
    ] = None,
    out: Annotated[str | None, _option("--out", "DIR", "The folder for the model; a new one.")] = None,
    model: Annotated[
        str | None, _option("--model", "NAME", "Begin with this model, a name or a path; from scratch by default.")
    ] = None,
    resume: Annotated[str | None, _option("--resume", "DIR", "Go on with a training that stopped.")] = None,
    add: Annotated[
        str | None, _option("--add", "LABELS", "With --resume: begin a new one from it, with these corrections.")
    ] = None,
    share: Annotated[
        float | None, _option("--share", "PART", "The part of the crops that corrections give; 0.3.")
    ] = None,
    licence: Annotated[str, _option("--licence", "TEXT", "On what terms the model may be used, for its card.")] = "",
    tensorboard: Annotated[bool, _flag("--tensorboard", "Also write files for TensorBoard.")] = False,
    diameter: Annotated[
        float | None, _option("--diameter", "PIXELS", "Cells are scaled to this diameter; 17, or the model's own.")
    ] = None,
    channels: Annotated[int | None, _option("--channels", "N", "Channels of a network from scratch; 2.")] = None,
    width: Annotated[
        str | None, _option("--width", "A,B,C,D", "Features of its levels; 16,32,64,128. Cellpose: 32,64,128,256.")
    ] = None,
    epochs: Annotated[int | None, _option("--epochs", "N", "How long; 100.")] = None,
    epoch: Annotated[int | None, _option("--epoch", "CROPS", "Crops of an epoch; 800. Cellpose: the images.")] = None,
    steps: Annotated[int | None, _option("--steps", "N", "How many batches, instead of epochs.")] = None,
    batch: Annotated[int | None, _option("--batch", "CROPS", "Crops seen at once; 8.")] = None,
    crop: Annotated[int | None, _option("--crop", "PIXELS", "Side of the crops; about 7.5 diameters.")] = None,
    optimizer: Annotated[str | None, _option("--optimizer", "NAME", "adamw (the default) or sgd.")] = None,
    rate: Annotated[float | None, _option("--rate", "NUMBER", "Highest learning rate; 0.002.")] = None,
    weight_decay: Annotated[float | None, _option("--weight-decay", "NUMBER", "0.0001.")] = None,
    momentum: Annotated[float | None, _option("--momentum", "NUMBER", "Of sgd; 0.9.")] = None,
    warmup: Annotated[float | None, _option("--warmup", "PART", "The part in which the rate rises; 0.03.")] = None,
    decay: Annotated[
        str | None, _option("--decay", "HOW", "How the rate falls: cosine (the default), or as in cellpose.")
    ] = None,
    clip: Annotated[float | None, _option("--clip", "LENGTH", "Longest gradient; 5, and 0 for any.")] = None,
    average: Annotated[
        float | None, _option("--average", "PART", "What stays of the average of weights each step; 0.995.")
    ] = None,
    precision: Annotated[
        str | None, _option("--precision", "TYPE", "auto (the default): bfloat16 where the machine has it; float32.")
    ] = None,
    augment_on_device: Annotated[
        bool, _flag("--augment-on-device", "Light, blur and noise are made of whole batches by the GPU.")
    ] = False,
    freeze_norm: Annotated[bool, _flag("--freeze-norm", "Batch norm keeps the statistics of --model.")] = False,
    seed: Annotated[int | None, _option("--seed", "N", "Decides first weights and crops; 0.")] = None,
    deterministic: Annotated[bool, _flag("--deterministic", "Only algorithms that repeat bit by bit.")] = False,
    validate_every: Annotated[int | None, _option("--validate-every", "STEPS", "Every epoch by default.")] = None,
    patience: Annotated[
        int | None, _option("--patience", "N", "End after so many validations without a better one; never.")
    ] = None,
    save_every: Annotated[int | None, _option("--save-every", "STEPS", "Every epoch by default.")] = None,
    workers: Annotated[
        int, _option("--workers", "N", "Prepare crops: 1, a thread (the default); more: processes.")
    ] = 1,
) -> None:
    """Train a network on DATA, or go on with a training, and leave model, card and page in a folder.

    \b
    bigcell train cells/ --out mine                        from scratch
    bigcell train cells/ --out mine --model cyto3          from a model
    bigcell train --resume mine                            after a stop: the same weights as without it
    bigcell train --resume mine --add corrected/           with corrections, into mine-2
    bigcell segment brain.zarr --model mine/model.safetensors
    """
    given = locals()
    from bigcell.training.settings import TrainingSettings
    from bigcell.training.train import train as begin

    names = [
        name
        for name in TrainingSettings.__dataclass_fields__
        if given.get(name) is not None and given[name] is not False
    ]
    settings = {name: given[name] for name in names}
    if width is not None:
        settings["width"] = o.numbers("--width", width)
    with Course() as listener, ENDING.keeping(listener.how_to_go_on):
        trained = begin(
            data,
            out,
            model=model,
            resume=resume,
            add=add,
            share=share,
            licence=licence,
            tensorboard=tensorboard,
            workers=workers,
            listener=listener,
            **settings,
        )
    tell(trained)


def tell(trained: Trained) -> None:
    """What a training made. (Only the first of several processes has something to tell.)"""
    if not trained.history:
        return
    if trained.scores is not None:
        print(f"AP@0.5   {trained.scores.ap50:.3f} over {trained.scores.planes} planes, F1 {trained.scores.f1:.3f}")
    print(f"model    {trained.model}")
    print(f"card     {trained.model.with_name('model.md')}")
    print(f"page     {trained.model.with_name('training.html')}")
    print(f"use it   {command('segment', 'IMAGE', model=trained.model)}")


class Course:
    """A listener that shows how far a training is: a bar in a terminal, and a line for each look."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = sys.stderr if out is None else out
        self._bar: Any = None
        self._begun, self._first = time.monotonic(), 0
        self._folder = ""

    def __call__(self, event: Event) -> None:
        from bigcell.training.loop import events

        if isinstance(event, events.Begun):
            self._begin(event)
        elif isinstance(event, events.Stepped):
            if self._bar is not None:
                self._bar.set_postfix_str(f"loss {event.loss:.3f}", refresh=False)
                self._bar.update(event.step - self._bar.n)
        elif isinstance(event, events.Looked):
            self._say(self._look(event))
        else:
            self._say(event.text)

    def how_to_go_on(self) -> str:
        """What is left of the training, and the command that goes on with it; "" of all processes but the first."""
        from bigcell.training.loop.state import CHECKPOINT

        if os.environ.get("RANK", "0") != "0":
            return ""
        if not self._folder or not os.path.exists(os.path.join(self._folder, CHECKPOINT)):
            return "nothing was saved yet: begin again"
        return f"what was saved is kept: go on with `{shlex.join(['bigcell', 'train', '--resume', self._folder])}`"

    def _begin(self, event: Begun) -> None:
        self._folder = event.out
        self._begun, self._first = time.monotonic(), event.done
        self._total = event.total
        self._say(event.text + (f"; going on after step {event.done}" if event.done else ""))
        if self.out.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=event.total, initial=event.done, desc="training", file=self.out)

    def _look(self, event: Looked) -> str:
        row = event.row
        done = max(1, row.step - self._first)
        left = (time.monotonic() - self._begun) / done * (self._total - row.step)
        parts = [f"step {row.step} of {self._total}", f"loss {row.loss:.4f}"]
        if row.ap50 is not None and row.ap is not None:
            best = ", the best so far" if event.best else ""
            parts.append(f"AP@0.5 {row.ap50:.3f}, AP {row.ap:.3f}{best}")
        return ", ".join(parts + ([f"{duration(left)} left"] if left >= 1 else []))

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self.out)
        else:
            print(text, file=self.out, flush=True)

    def __enter__(self) -> Course:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
