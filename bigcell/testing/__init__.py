"""Shipped for tests, demos and people who write their own parts: suites, synthetic volumes and flows with known truth.

>>> from bigcell.testing import VolumeTests
>>> [name for name in dir(VolumeTests) if name.startswith("test_")][0]
'test_a_box_outside_is_refused'
"""

from __future__ import annotations

TYPE_CHECKING = False

_HOME = {
    "ExecutorTests": "bigcell.testing.executor_tests",
    "FlowLattice": "bigcell.testing.flows",
    "VirtualVolume": "bigcell.testing.virtual",
    "VolumeTests": "bigcell.testing.volume_tests",
    "arrays_source": "bigcell.testing.labelled",
    "synthetic_images": "bigcell.testing.labelled",
    "weights_from_seed": "bigcell.testing.weights",
}

__all__ = [
    "ExecutorTests",
    "FlowLattice",
    "VirtualVolume",
    "VolumeTests",
    "arrays_source",
    "synthetic_images",
    "weights_from_seed",
]

if TYPE_CHECKING:
    from typing import Any

    from bigcell.testing.executor_tests import ExecutorTests
    from bigcell.testing.flows import FlowLattice
    from bigcell.testing.labelled import arrays_source, synthetic_images
    from bigcell.testing.virtual import VirtualVolume
    from bigcell.testing.volume_tests import VolumeTests
    from bigcell.testing.weights import weights_from_seed


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bigcell.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
