"""What to say of an option that is none of ours: what Cellpose's is called here, or which of ours is meant."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

from bigcell.core.cellpose_words import SEGMENT, TRAIN
from bigcell.core.errors import SettingsError

ALIKE = 0.75
"""Names that are less alike are not suggested."""


def refuse_unknown(names: Collection[str], known: Collection[str], verb: str) -> None:
    """SettingsError for the first of `names` that is not `known`; in Python, where a verb is a function."""
    for name in names:
        if name not in known:
            near = get_close_matches(str(name), list(known), n=1, cutoff=ALIKE)
            every = ", ".join(sorted(known, key=str.lower))
            hint = f"did you mean {near[0]!r}?" if near else f"its options are {every}"
            raise SettingsError(f"{verb} has no option {str(name)[:80]!r}; {cellpose_answer(str(name), verb) or hint}")


def cellpose_answer(name: str, verb: str, *, flags: bool = False) -> str:
    """What to write instead of Cellpose's argument `name`; "" if it has none of that name. `flags`: as in a shell.

    >>> cellpose_answer("batch_size", "segment", flags=True), cellpose_answer("gpus", "segment")
    ('instead: --batch, tiles that the network sees at once', '')
    """
    tables = {"segment": SEGMENT, "train": TRAIN}
    whose = "train" if verb == "train" or name not in SEGMENT else "segment"
    whose = whose if name in tables[whose] else "segment"
    if name not in tables[whose]:
        return ""
    elsewhere = f" (of `bigcell {whose}`)" if whose != verb and "train" in (whose, verb) else ""
    text = tables[whose][name] + elsewhere
    text = text if text.startswith("leave it out") else f"instead: {text}"
    text = re.sub(r"\{(\w+)\}", lambda found: flag(found[1], whose) if flags else f"{found[1]}=", text)
    return text.replace("--normalize False", "--no-normalize").replace("= '", "='").replace("= False", "=False")


def flag(option: str, verb: str) -> str:
    """An option as the command line spells it.

    >>> flag("do_3D", "segment"), flag("channels", "segment"), flag("channels", "train")
    ('--do-3d', '--channel', '--channels')
    """
    word = "channel" if option == "channels" and verb != "train" else option
    return f"--{word.lower().replace('_', '-')}"
