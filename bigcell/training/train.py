"""`bigcell.train`: from labelled images on a disk to a model; on from where a training stopped; on with corrections."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from bigcell.core.errors import BigcellError, SettingsError
from bigcell.core.format import command as said
from bigcell.core.paths import local_path
from bigcell.core.settings import check_type, from_dict, from_document
from bigcell.core.unknown_options import refuse_unknown
from bigcell.io.stores.urls import absolute
from bigcell.training.crops.source import Source
from bigcell.training.data.dataset_config import read_sources
from bigcell.training.data.reweight import mixed
from bigcell.training.data.split import SplitSettings
from bigcell.training.loop.events import Event, Listener, Said, ignore
from bigcell.training.loop.optimise import under
from bigcell.training.loop.state import CHECKPOINT, load_state, save_tensors
from bigcell.training.loop.threads import kept_threads
from bigcell.training.output.card import short_name
from bigcell.training.output.history import TensorBoard
from bigcell.training.output.result import Trained
from bigcell.training.settings import TrainingSettings
from bigcell.training.trainer import Data, claim, run_training

VERB = ("data", "out", "model", "resume", "add", "share", "licence", "tensorboard", "workers", "listener")
START = "start.safetensors"
SHARE = 0.3
"""The part of the crops that corrections give, unless said otherwise."""
LESS = 5
"""A training goes on with corrections for a fifth of its steps, at a fifth of its rate."""


@dataclass(frozen=True)
class TrainingJob:
    """What a training is asked to use; kept with it, so that it can be taken up by its folder alone."""

    data: str
    model: str | None = None
    add: str | None = None
    share: float = SHARE
    licence: str = ""
    tensorboard: bool = False
    workers: int = 1


def train(
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    model: str | Path | None = None,
    resume: str | Path | None = None,
    add: str | Path | None = None,
    share: float | None = None,
    licence: str = "",
    tensorboard: bool = False,
    workers: int = 1,
    listener: Listener = ignore,
    **settings: Any,
) -> Trained:
    """Train a network on labelled images, and leave it as ``model.safetensors`` in a folder.

    Parameters
    ----------
    data
        A folder of images with labels as Cellpose has them, an OME-Zarr with labels, or a TOML file that names several
        (docs/howto/training.md).
    out
        The folder for the model, its card, curves and pictures.
    model
        What to begin with, a name or a path; without it a network is trained from scratch.
    resume
        The folder of a training that stopped. It goes on as if it had not, and takes nothing else but `add`.
    add
        With `resume`: corrections (labels made better by hand, with their images). A new training begins with the
        weights of the first one, in `out` or in a folder beside it; the first one is left as it is.
    share
        The part of the crops that corrections give.
    licence
        A line for the model's card.
    tensorboard
        Also write its files.
    workers
        Who prepares crops while the network learns: one is a thread, more are processes.
    listener
        Called with each event of the training.
    **settings
        Those of `bigcell.training.settings.TrainingSettings`.

    Returns
    -------
    Trained
        Where the model is, and how good it is.

    Raises
    ------
    InputError, SettingsError, ModelError
        If the data, a setting or the model to begin with cannot be used.
    """
    refuse_unknown(settings, (*TrainingSettings.__dataclass_fields__, *VERB), "train")
    check_type(int, workers=workers)
    check_type(float | None, share=share)
    if resume is None:
        if data is None or out is None or add is not None or share is not None:
            raise SettingsError("wanted data and a folder for the model; or resume, alone or with corrections to add")
        order = TrainingJob(
            str(data), None if model is None else str(model), None, SHARE, licence, tensorboard, workers
        )
        chosen = from_document(TrainingSettings, settings)
        about = {"command": command(order, str(out), chosen)}
        return _train(replace(order, data=absolute(data)), local_path(out), chosen, listener, about)
    if data is not None or model is not None:
        raise SettingsError("resume goes on with the data and the model that the training has; leave these out")
    if add is None:
        if out is not None or settings or share is not None or licence or tensorboard:
            raise SettingsError("resume goes on with what the training has; leave all else out")
        return _resumed(local_path(resume), listener)
    return _with_corrections(local_path(resume), str(add), share, out, settings, licence, listener)


def _train(
    order: TrainingJob, out: Path, settings: TrainingSettings, listener: Listener, about: Mapping[str, Any], **how: Any
) -> Trained:
    """Open what `order` names, and train."""
    with kept_threads():
        train, validation = read_sources(order.data)
    sources: Sequence[Source] = train
    about = {**about, "order": asdict(order), "licence": order.licence}
    if order.add is not None:
        with kept_threads():
            corrections = _corrections(order.add)
        sources = mixed(sources, corrections, order.share)
        about["added"] = _added(order, corrections)
        listener(Said(f"corrections: {about['added']}"))
    with closing(TensorBoard(out)) if order.tensorboard else nullcontext() as board:
        told = listener if board is None else _both(listener, board)
        data = Data(sources, validation)
        return run_training(
            data, out, settings, start=order.model, about=about, workers=order.workers, listener=told, **how
        )


def _corrections(place: str) -> list[Source]:
    """All that is at `place`; nothing of it is kept for validation."""
    if place.lower().endswith(".toml"):  # says itself how to split
        train, kept = read_sources(place)
        return [*train, *kept]
    return list(read_sources(place, split=SplitSettings(validation=0.0))[0])


def _added(order: TrainingJob, corrections: list[Source]) -> str:
    many = "1 source" if len(corrections) == 1 else f"{len(corrections)} sources"
    return f"{many} of {short_name(str(order.add))}, {100 * order.share:g} parts in 100 of the crops"


def _both(first: Listener, second: Listener) -> Listener:
    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell


def _resumed(folder: Path, listener: Listener) -> Trained:
    state, _ = load_state(folder)
    order, settings = from_dict(TrainingJob, state.about["order"]), from_dict(TrainingSettings, state.known["settings"])
    return _train(order, folder, settings, listener, state.about, resume=True)


def _with_corrections(
    folder: Path,
    add: str,
    share: float | None,
    out: str | Path | None,
    changes: Mapping[str, Any],
    licence: str,
    listener: Listener,
) -> Trained:
    """A training of its own that begins with the best weights of the one in `folder`, be it finished or not."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingsError(
            "corrections are added by one process: begin without torchrun, stop it, and go on with --resume under it"
        )
    state, tensors = load_state(folder)
    before, former = from_dict(TrainingJob, state.about["order"]), from_dict(TrainingSettings, state.known["settings"])
    settings = replace(former, steps=max(1, former.total // LESS), rate=former.rate / LESS)
    settings = from_dict(TrainingSettings, {**{f.name: getattr(settings, f.name) for f in fields(settings)}, **changes})
    if "epochs" in changes and "steps" not in changes:
        settings = replace(settings, steps=None)
    place = local_path(out) if out is not None else _next(folder)
    claim(place)
    start = save_tensors(place.absolute() / START, state.best or under("average", tensors), {})
    order = replace(
        before,
        model=str(start),
        add=absolute(add),
        share=SHARE if share is None else share,
        licence=licence or before.licence,
    )
    told = said("train", resume=folder, add=add, out=place)
    with _given_back(place):
        return _train(order, place, settings, listener, {"command": told, "continued": str(folder)})


@contextmanager
def _given_back(place: Path) -> Iterator[None]:
    """What is refused before its first checkpoint leaves no folder behind."""
    try:
        yield
    except BigcellError:
        if not (place / CHECKPOINT).exists():
            (place / START).unlink(missing_ok=True)
            with suppress(OSError):  # something else is in it
                place.rmdir()
        raise


def _next(folder: Path) -> Path:
    """The first folder of FOLDER-2, FOLDER-3, ... that is not there."""
    count = 2
    while (place := folder.with_name(f"{folder.name}-{count}")).exists():
        count += 1
    return place


def command(order: TrainingJob, out: str, settings: TrainingSettings) -> str:
    """The command line that does the same.

    >>> command(TrainingJob("cells", "cyto3"), "mine", TrainingSettings(steps=500, width=(8, 16)))
    'bigcell train cells --out mine --model cyto3 --steps 500 --width 8,16'
    """
    words = ["bigcell", "train", order.data, "--out", out]
    words += ["--model", order.model] if order.model else []
    words += ["--licence", order.licence] if order.licence else []
    words += ["--tensorboard"] if order.tensorboard else []
    for f in fields(settings):
        value = getattr(settings, f.name)
        if f.name == "augmentation" or value == f.default:
            continue
        option = f"--{f.name.replace('_', '-')}"
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        words += [option] if value is True else [option, text]
    return shlex.join(words)
