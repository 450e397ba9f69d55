"""What a worker does before its first task where several share a job: it takes the one GPU that is its own."""

from __future__ import annotations

import os
from typing import Any

from bigcell.cluster.devices import VISIBLE


def dask_setup(worker: Any) -> None:
    """Called by dask in each worker. Workers of a job are called ``name-0``, ``name-1`` and so on."""
    os.environ[VISIBLE] = own_device(str(worker.name), os.environ.get(VISIBLE, ""))


def own_device(name: str, visible: str) -> str:
    """The device of the worker `name` among those that its job sees (numbered from 0 if it does not say).

    >>> own_device("SLURMCluster-4-1", "3,5"), own_device("SLURMCluster-4-1", "")
    ('5', '1')
    """
    number = int(name.rpartition("-")[2])
    devices = [device for device in visible.split(",") if device]
    return devices[number % len(devices)] if devices else str(number)
