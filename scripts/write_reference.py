"""Write what pages take from the code: options of the command line, and what Cellpose's arguments are here.

    python scripts/write_reference.py

docs/reference/command-line.md is written whole, docs/coming-from-cellpose.md between its marks.
tests/test_docs_reference.py holds both pages to what this would write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

from bigcell.cli.app import app
from bigcell.core.cellpose_words import SEGMENT, TRAIN

ROOT = Path(__file__).resolve().parents[1]
COMMAND_LINE = ROOT / "docs" / "reference" / "command-line.md"
FROM_CELLPOSE = ROOT / "docs" / "coming-from-cellpose.md"
RELEASED = ROOT / "tests" / "core" / "cellpose_names.json"
LEAVE = "leave it out: "
TOP = """# Command line

This page is written by `python scripts/write_reference.py` from the options themselves. `bigcell VERB --help` prints
the same. `--debug` may stand anywhere; it shows where an error came from.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a bug, or the machine failed |
| 2 | the input or the usage is wrong |
| 3 | blocks failed; `bigcell resume` does what is left |
| 130, 143, 129 | ended by Ctrl-C, SIGTERM, SIGHUP |
"""
SEGMENT_OURS = {
    "anisotropy": "Not given, it follows from the voxel size of the image. Cellpose then takes 1.",
    "augment": "Each tile is run in its four flips and averaged (decision 015). Cellpose flips overlapping tiles.",
    "cellprob_threshold": "Views of a stack are averaged and not summed, so a third of Cellpose's number means the same"
    " there (decision 015).",
    "channels": "Names, or numbers from 0. Cellpose counts from 1, and its 0 is grey; here `'grey'` is the mean.",
    "diameter": "Also micrometres (`'8.5um'`) and `'auto'`. Not given, it is the model's own.",
    "do_3D": "A stack is segmented as a whole unless this is False. Cellpose needs True for that.",
    "flow3D_smooth": "The same kernel. Here it also acts on a single plane (decision 015).",
    "flow_threshold": "The same default, 0.4. The error of an object does not depend on its neighbours (decision 013)."
    " Stacks have `flow_threshold_3d`.",
    "invert": "The same. It also works with tiles of percentiles, where Cellpose 3.1 ignores it (decision 008).",
    "min_size": "15 voxels in planes. In stacks a tenth of a ball of the diameter (decision 029). 0 is no limit.",
    "niter": "Not given, it is 200, and more in proportion for cells over 30 voxels (decision 007).",
    "normalize": "True, False, or a dictionary with Cellpose's keys, which are also options of their own.",
    "stitch_threshold": "The same rule. Equal overlaps have an order, and memory is that of two planes (decision 009).",
    "tile": "Another meaning: here the side of the network's tiles in pixels. Cellpose 2 has a switch of that name.",
    "tile_overlap": "The least overlap; the default is 0.15 and not 0.1 (decision 002).",
}
"""Arguments that have Cellpose's name: what is the same, and what is not."""
TRAIN_OURS = {
    "channels": "Another meaning: how many channels a network from scratch has. DATA says which ones an image has.",
    "momentum": "The same, of `optimizer='sgd'` alone. The default is 0.9.",
    "save_every": "In steps. Cellpose counts epochs.",
    "weight_decay": "The same. The default is 0.0001.",
}


def command_line() -> str:
    """The whole page of the command line."""
    group: Any = typer.main.get_command(app)
    parts = [TOP]
    for name, command in group.commands.items():
        for words, one in [(f"{name} {n}", c) for n, c in getattr(command, "commands", {}).items()] or [
            (name, command)
        ]:
            parts.append(f"## bigcell {words}\n\n{paragraphs(one.help)}\n\n{usage(words, one)}\n\n{table(one)}")
    return "\n".join(parts)


def paragraphs(text: str) -> str:
    """Help as Markdown: what is laid out by hand stays as it is."""
    pieces = re.split(r"\n\s*\n", (text or "").replace("\f", "").strip())
    return "\n\n".join(
        f"```text\n{piece.strip().removeprefix(chr(8)).strip()}\n```"
        if piece.strip().startswith("\b")
        else piece.strip()
        for piece in pieces
    )


def usage(words: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    names = [p.metavar if p.required else f"[{p.metavar}]" for p in arguments]
    return f"```text\n{' '.join(['bigcell', words, '[OPTIONS]', *names])}\n```"


def table(command: Any) -> str:
    """Arguments and options of a verb, one a row, in the order of its help."""
    rows = ["| option | |", "|---|---|"]
    for p in command.params:
        if not getattr(p, "hidden", False):
            spelled = [p.metavar] if p.param_type_name == "argument" else [*p.opts, *p.secondary_opts]
            value = f" {p.metavar}" if p.param_type_name == "option" and p.metavar else ""
            rows.append(f"| {', '.join(f'`{cell(s + value)}`' for s in spelled)} | {cell(p.help or '')} |")
    return "\n".join(rows) + "\n"


def cell(text: str) -> str:
    """`text` as it may stand in a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def released(verb: str) -> set[str]:
    """Arguments of the released packages in Python."""
    calls = [call for version in json.loads(RELEASED.read_text()).values() for call in version.items()]
    return {
        n
        for called, names in calls
        for n in names
        if called != "command line" and ("train" in called) == (verb == "train")
    }


def cellpose(verb: str) -> str:
    """The table of what Cellpose's arguments are here."""
    ours, words = (TRAIN_OURS, TRAIN) if verb == "train" else (SEGMENT_OURS, SEGMENT)
    names = sorted({*released(verb), *words, *ours}, key=str.lower)
    rows = [f"| `{name}` | {' | '.join(answer(name, ours, words))} |" for name in names]
    return "\n".join(["| Cellpose | here | same, different, and why |", "|---|---|---|", *rows])


def answer(name: str, ours: Mapping[str, str], words: Mapping[str, str]) -> tuple[str, str]:
    """What stands beside an argument of Cellpose."""
    if name in ours:
        return f"`{name}`", re.sub(r"decision (\d{3})", decision, ours[name])
    text = words[name].replace("axes=, as in", "{axes}, as in")
    if text.startswith(LEAVE):
        return "none", sentence(text.removeprefix(LEAVE))
    if value := re.match(r"\{(\w+)\} ('\w+'|False)(.*)", text):
        return f"`{value[1]}={value[2]}`", sentence(value[3] or "a value of that option")
    options = [f"`{o}`" for o in dict.fromkeys(re.findall(r"\{(\w+)\}", text))]
    if len(options) == 1 and text.startswith("{"):
        text = re.sub(r"^\{\w+\}[,:]? ?", "", text) or "another name"
    return ", ".join(options) or "another way", sentence(text)


def decision(number: re.Match[str]) -> str:
    """A link to a decision, from a page in docs."""
    page = next((ROOT / "docs" / "explanation" / "decisions").glob(f"{number[1]}-*.md"))
    return f"[decision {number[1]}]({page.relative_to(ROOT / 'docs').as_posix()})"


def sentence(text: str) -> str:
    text = text.replace("(docs/howto/training.md)", "([Train](howto/training.md))")
    plain = re.sub(r"\{(\w+)\}", r"`\1`", cell(text)).strip(" .")
    return f"{plain[0].upper()}{plain[1:]}."


def pages() -> Iterator[tuple[Path, str]]:
    """Each page and what it should hold."""
    yield COMMAND_LINE, command_line()
    text = FROM_CELLPOSE.read_text()
    for verb in ("segment", "train"):
        begin, end = f"<!-- {verb}: made by scripts/write_reference.py -->\n", f"\n<!-- end of {verb} -->"
        before, _, after = text.partition(begin)
        text = before + begin + "\n" + cellpose(verb) + "\n" + end + after.partition(end)[2]
    yield FROM_CELLPOSE, text


if __name__ == "__main__":
    for path, text in pages():
        path.write_text(text)
        print(path)
