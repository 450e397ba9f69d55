"""The table of ./scripts/bench, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = """| work | against | ours, s | theirs, s | times faster | wanted | memory, MB (ours / theirs) | of the limit | answers (ours / theirs) |
|---|---|---|---|---|---|---|---|---|
"""  # noqa: E501


def markdown(
    lines: Sequence[Mapping[str, Any]],
    *,
    head: bool = True,
    machine: Mapping[str, Any] | None = None,
    limits: Mapping[str, float] | None = None,
) -> str:
    """All `lines`; with `machine` and `limits` a note of what they were measured on."""
    text = (HEAD if head else "") + "\n".join(_line(line) for line in lines)
    if machine and limits:
        text += (
            f"\n\n{machine['cpu']}, {machine['cores']} cores (load {machine['load']:.1f} at the end). Matrix products "
            f"{limits['float32'] / 1e9:.0f} GFLOP/s in float32 and {limits['bfloat16'] / 1e9:.0f} in bfloat16; copying "
            f"{limits['copy'] / 1e9:.1f} GB/s, read and written; the U-Net needs {limits['network_work'] / 1e3:.0f} "
            "kFLOP a pixel. `of the limit`: what must be moved once, or the network's products, over these.\n"
        )
    return text


def _line(line: Mapping[str, Any]) -> str:
    ours, theirs = line["ours"], line.get("theirs")
    ratio = f"**{line['ratio']:.1f}**" if theirs else ""
    wanted = f"{line['wanted']:g}" if theirs else ""
    if theirs and line["ratio"] < line["wanted"]:
        wanted += ", missed"
    memory = f"{ours['peak_extra'] / 1e6:.0f}"
    if theirs:
        memory += f" / {theirs['peak_extra'] / 1e6:.0f}"
        if line["wanted_memory"]:
            over = ours["peak_extra"] > line["wanted_memory"] * theirs["peak_extra"]
            memory += f" (wanted {line['wanted_memory']:g}{', missed' if over else ''})"
    cells = [
        line["title"],
        {4: "Cellpose 4", 3: "Cellpose 3.1"}.get(line.get("peer", 0), ""),
        f"{ours['seconds']:.3g}",
        f"{theirs['seconds']:.3g}" if theirs else "",
        ratio,
        wanted,
        memory,
        f"{line['share']:.1%}" if "share" in line else "",
        line.get("said", ""),
    ]
    return f"| {' | '.join(cells)} |"
