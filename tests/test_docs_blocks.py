"""Every block of code in README and docs is run, or says beside it why it is not; every command line parses.

Blocks of Python of a page run in order, in one namespace, in a folder with a small image. What a reader is to have
already stands in `GIVEN`. A block that is not run has `<!-- not run: reason -->` on the line before it.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

import bigcell
from bigcell.cli.app import app
from bigcell.io.labels.write_labels import write_labels
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import look_of, sample_volume, tissue_of

ROOT = Path(__file__).parents[1]
PAGES = {
    p.relative_to(ROOT).as_posix(): p.read_text() for p in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
}
LANGUAGES = {"python", "bash", "console", "toml", "text"}
"""What a block may be. Text is what is printed or what stands in a file: there is nothing in it to run."""
ELSEWHERE = {"echo", "export", "git", "pip"}
"""Programs that a command line may begin with besides ours."""
GROUP: Any = typer.main.get_command(app)


@dataclass(frozen=True)
class Block:
    """A fenced block. `reason`: why it is not run, or None."""

    page: str
    line: int
    language: str
    code: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    for page, text in PAGES.items():
        for found in re.finditer(r"^( *)```([^\n]*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
            before = text[: found.start()].rstrip().rpartition("\n")[2]
            said = re.fullmatch(r"\s*<!-- not run: (.+) -->", before)
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page, line, found[2], found[3], said[1] if said else None)


BLOCKS = list(blocks())


def test_there_are_blocks_and_no_fence_is_left_open() -> None:
    assert len(BLOCKS) > 50
    for page, text in PAGES.items():
        assert 2 * sum(b.page == page for b in BLOCKS) == len(re.findall(r"^ *```", text, re.MULTILINE)), page


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_says_what_it_is_and_why_it_is_not_run(block: Block) -> None:
    assert block.language in LANGUAGES
    assert block.reason is None or len(block.reason.split()) >= 5, "say why"
    assert block.reason is None or block.language in {"python", "bash", "console"}, "there is nothing to run"


def commands(block: Block) -> Iterator[list[str]]:
    """The command lines of a block, in words. In `console` they stand after a dollar sign."""
    lines = block.code.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        for part in re.split(r"&&|\|\|", line):
            if words := shlex.split(part, comments=True):
                yield words


def check(words: list[str]) -> None:
    """A command line of ours parses, its options and all; one of a script names one that is there."""
    for word in words:
        if word.startswith("bigcell "):  # what a queue is given to run
            check(shlex.split(word))
    program, *rest = words
    if program == "torchrun":
        parse(rest[rest.index("bigcell") + 1 :])
    elif program == "bigcell":
        parse(rest)
    elif program == "sbatch":
        assert any(word.startswith("bigcell ") for word in rest)
    elif program in {"python", "./scripts"} or program.startswith("./"):
        assert (ROOT / (rest[0] if program == "python" else program)).is_file(), words
    else:
        assert program in ELSEWHERE, f"{program}: nobody runs this; say why in a comment before the block"


def parse(words: list[str]) -> None:
    """Raise what the command line itself would say of `words`."""
    parent, command = GROUP.make_context("bigcell", ["inspect"]), GROUP
    while hasattr(command, "commands"):
        verb, *words = words
        assert verb in command.commands, f"there is no verb {verb}"
        command = command.commands[verb]
    command.make_context(verb, ["0" if word.startswith("$") else word for word in words], parent=parent)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in {"bash", "console"} and not b.reason], ids=str)
def test_command_lines_parse(block: Block) -> None:
    found = list(commands(block))
    assert found
    for words in found:
        check(words)


@pytest.mark.parametrize("wrong", ["bigcell segmnt a.zarr", "bigcell plan a.zarr --diamter 3", "bigcell plan --block"])
def test_a_command_line_that_is_wrong_is_noticed(wrong: str) -> None:
    with pytest.raises(Exception, match=r"(?i)verb|option"):
        check(shlex.split(wrong))


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_have_verbs_and_options_that_are_there(page: str) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for said in re.findall(r"`bigcell ([^`]+)`", text):
        command = GROUP
        for word in said.split():
            if word in getattr(command, "commands", {}):
                command = command.commands[word]
        known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)} | {"--help", "--debug"}
        first = said.split()[0]
        assert command is not GROUP or first in ("VERB",) or first.startswith("-"), said
        assert set(re.findall(r"(?<!\S)--[\w-]+", said)) <= known, said


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=str)
def test_toml_parses(block: Block) -> None:
    assert tomllib.loads(block.code)


def test_extras_that_pages_name_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {e for text in PAGES.values() for e in re.findall(r"bigcell\[(\w+)\]", text)} <= set(extras)


GIVEN: dict[str, dict[str, Any]] = {
    "README.md": {},
    "docs/reference/arrays.md": {"rgb": np.tile(np.arange(24, dtype=np.uint16)[:, None], (24, 1, 3))},
}
"""Names that code of a page uses and that its reader has already, besides `array` and its flows."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image of few cells, its truth, and the same cells as someone found them."""
    folder = tmp_path_factory.mktemp("docs")
    made = sample_volume(
        (4, 40, 40), diameter=17, spacing=(0.5, 0.5, 0.5), look=look_of("nuclei"), tissue=tissue_of("nuclei")
    )
    for name, labels in (("stack", "truth"), ("brain", "cells"), ("truth", "truth")):
        write_image(folder / f"{name}.zarr", made.volume, levels=1)
        write_labels(folder / f"{name}.zarr", made.labels, name=labels)
    np.save(folder / "array.npy", made.image[0])
    np.save(folder / "labels.npy", made.labels)
    return folder


PYTHON = {b.page: [c for c in BLOCKS if c.page == b.page and c.language == "python"] for b in BLOCKS}


@pytest.mark.parametrize("page", [page for page, found in PYTHON.items() if any(not b.reason for b in found)])
def test_python_of_a_page_runs(page: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    array, labels = np.load("array.npy"), np.load("labels.npy")
    flows = bigcell.flows_from_labels(labels)
    names = {"array": array, "lazy": array, "flows": flows, "cellprob": np.where(labels > 0, 5.0, -5.0)}
    names |= GIVEN.get(page, {})
    for block in PYTHON[page]:
        if not block.reason:
            exec(compile(block.code, str(block), "exec"), names)
