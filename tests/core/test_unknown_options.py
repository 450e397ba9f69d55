"""Every argument of the released Cellpose packages has an answer, and no answer names what is not there."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app, explain
from bigcell.core.cellpose_words import SEGMENT, TRAIN
from bigcell.core.errors import SettingsError
from bigcell.core.unknown_options import cellpose_answer, flag
from bigcell.engine.planning.options import Options
from bigcell.engine.runs.inputs import RUN
from bigcell.training.settings import TrainingSettings
from bigcell.training.train import VERB

RELEASED = json.loads((Path(__file__).parent / "cellpose_names.json").read_text())
GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = GROUP.commands
OURS = {"segment": {*Options.__annotations__, *RUN}, "train": {*TrainingSettings.__dataclass_fields__, *VERB}}
NAMES = sorted(
    {
        ("train" if "train" in called else "segment", name)
        for called_names in RELEASED.values()
        for called, names in called_names.items()
        for name in names
        if called != "command line"
    }
)
FLAGS = sorted({name for called in RELEASED.values() for name in called["command line"]})


def flags_of(verb: str) -> set[str]:
    return {each for parameter in COMMANDS[verb].params for each in (*parameter.opts, *parameter.secondary_opts)}


def told(*words: str) -> str:
    run = CliRunner().invoke(app, list(words))
    assert run.exit_code == 2
    return run.stderr.strip()


def test_the_packages_are_there() -> None:
    assert [version[0] for version in RELEASED] == ["2", "3", "4"]
    assert len(NAMES) > 70
    assert len(FLAGS) > 70


@pytest.mark.parametrize(("verb", "name"), NAMES)
def test_an_argument_in_python_is_ours_or_answered(verb: str, name: str) -> None:
    assert name in OURS[verb] or cellpose_answer(name, verb)


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("verb", ["segment", "train"])
def test_an_option_of_the_command_line_is_ours_or_answered(verb: str, name: str) -> None:
    if f"--{name}" in (*flags_of(verb), "--version"):
        return
    with pytest.raises(Exception, match="such option") as refused:
        COMMANDS[verb].make_context(verb, [f"--{name}"], parent=GROUP.make_context("bigcell", ["inspect"]))
    code, said = explain(refused.value)
    assert code == 2
    assert said.startswith(f"there is no option --{name}; "), said
    shell = [found for found in re.findall(r"(?<![\w`])--[\w-]+", re.sub("`.*?`", "", said)) if found != f"--{name}"]
    whose = re.search(r"\(of `bigcell (\w+)`\)", said)
    assert set(shell) <= flags_of(whose[1] if whose else verb), said


@pytest.mark.parametrize(("verb", "table"), [("segment", SEGMENT), ("train", TRAIN)])
def test_answers_name_what_is_there(verb: str, table: dict[str, str]) -> None:
    for name, text in table.items():
        named = re.findall(r"\{(\w+)\}", text)
        assert set(named) <= OURS[verb], name
        assert {flag(option, verb) for option in named} <= flags_of(verb), name
        assert f"--{name}" not in flags_of(verb), f"{name} is an option of ours"
        for command in re.findall(r"`bigcell ([^`]+)`", text):
            assert set(re.findall(r"--[\w-]+", command)) <= flags_of(command.split()[0]), name


def test_arguments_of_the_verbs_are_those_of_their_functions() -> None:
    for verb, known in (("segment", RUN), ("train", VERB)):
        parameters = inspect.signature(getattr(bigcell, verb)).parameters.values()
        assert set(known) <= {p.name for p in parameters}


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["segment", "--pretrained_model", "cyto"], "instead: --model,"),
        (["segment", "--use_gpu"], "leave it out: a GPU"),
        (["segment", "--min_size", "5"], "instead: --min-size"),
        (["plan", "--do_3D"], "instead: --do-3d"),
        (
            ["plan", "--savedir", "a"],
            "--output, the store for the labels, and --labels, their name (of `bigcell segment`)",
        ),
        (["train", "--SGD", "1"], "instead: --optimizer 'sgd' where it is on"),
        (["segment", "--weight_decay", "1"], "instead: --weight-decay (of `bigcell train`)"),
        (["train", "--save_tif"], "(of `bigcell segment`)"),
        (["segment", "--n_epochs", "5"], "instead: --epochs (of `bigcell train`)"),
        (["--dir", "a"], "the image is the first argument"),
        (["segment", "--bacth", "5"], "--batch"),
    ],
)
def test_what_is_said_on_the_command_line(words: list[str], answer: str) -> None:
    assert answer in told(*words)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("batch_size", "instead: batch=,"),
        ("model_type", "instead: model=,"),
        ("no_norm", "instead: normalize=False"),
        ("gpu", "leave it out: a GPU"),
        ("diam_mean", "diameter= is that of the cells"),
        ("diamter", "did you mean 'diameter'"),
        ("save_every", "instead: save_every= (of `bigcell train`)"),
        ("frobnicate", "its options are anisotropy, augment,"),
        ("momentum", "its options are anisotropy, augment,"),
    ],
)
def test_what_is_said_in_python(name: str, answer: str) -> None:
    options: Any = {name: 1}
    for verb in (bigcell.segment, bigcell.plan):
        with pytest.raises(SettingsError, match=f"segment has no option '{name}'") as refused:
            verb(np.eye(9), **options)
        assert answer in str(refused.value)


def test_training_has_answers_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="train has no option 'batch_size'; instead: batch=, crops of a step"):
        bigcell.train(tmp_path, tmp_path / "m", batch_size=3)


TEXT: dict[str, Callable[[], object]] = {
    "cellprob_threshold": lambda: bigcell.segment(np.eye(9), cellprob_threshold="0.5"),  # type: ignore[arg-type]
    "min_size": lambda: bigcell.plan(np.eye(9), min_size="15"),  # type: ignore[arg-type]
    "anisotropy": lambda: bigcell.segment(np.eye(9), anisotropy="2"),  # type: ignore[arg-type]
    "block": lambda: bigcell.segment(np.eye(9), block=("8", "32", "32")),  # type: ignore[arg-type]
    "norm3D": lambda: bigcell.segment(np.eye(9), norm3D="no"),  # type: ignore[arg-type]
    "normalize": lambda: bigcell.segment(np.eye(9), normalize="False"),  # type: ignore[arg-type]
    "smooth_radius": lambda: bigcell.segment(np.eye(9), smooth_radius="2"),  # type: ignore[arg-type]
    "do_3D": lambda: bigcell.segment(np.eye(9), do_3D="yes"),  # type: ignore[arg-type]
    "workers": lambda: bigcell.plan(np.eye(9), workers="2", flows=np.zeros((3, 9, 9))),  # type: ignore[arg-type]
    "level": lambda: bigcell.segment("absent.zarr", level="0"),  # type: ignore[arg-type]
    "region": lambda: bigcell.segment("absent.zarr", region="0:5,:,:"),  # type: ignore[arg-type]
    "tolerance": lambda: bigcell.evaluate(np.eye(9, dtype=int), np.eye(9, dtype=int), tolerance="2"),  # type: ignore[arg-type]
    "thresholds": lambda: bigcell.evaluate(np.eye(9, dtype=int), np.eye(9, dtype=int), thresholds=["0.5"]),  # type: ignore[list-item]
    "levels": lambda: bigcell.convert(np.eye(9), "absent.zarr", levels="3"),  # type: ignore[arg-type]
    "chunk": lambda: bigcell.convert(np.eye(9), "absent.zarr", chunk=("1", "8", "8")),  # type: ignore[arg-type]
    "rate": lambda: bigcell.train("absent", "m", rate="0.1"),
    "epochs": lambda: bigcell.train("absent", "m", epochs="5"),
}


@pytest.mark.parametrize("name", TEXT)
def test_a_number_given_as_text_is_a_sentence(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} .*wanted"):
        TEXT[name]()
