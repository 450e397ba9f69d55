"""GPUs of this machine, counted without waking any of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus(devices: Path = Path("/dev"), environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them.

    That variable counts, if it is set; otherwise every NVIDIA device there is.
    """
    if VISIBLE in environment:
        return tuple(name.strip() for name in environment[VISIBLE].split(",") if name.strip() not in ("", "-1"))
    count = sum(bool(re.fullmatch(r"nvidia\d+", p.name)) for p in devices.glob("nvidia*"))
    return tuple(str(i) for i in range(count))
