"""In a worker the network's memory is kept while it runs, and given back afterwards; other processes are left alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bigcell.engine.runtime.malloc import THRIFT

CODE = """
import resource
import numpy as np
from bigcell.engine.runtime.malloc import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(2**22, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

first = faults()
with memory_kept():
    faults()
    within = faults()
    arrays = [np.ones(2**22, np.uint8) for _ in range(20)]
    del arrays
    kept = held()
print(first, within, faults(), kept - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the page faults of Linux are counted")
@pytest.mark.parametrize("thrifty", [True, False])
def test_memory_is_kept_for_a_while_in_workers_alone(thrifty: bool) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in THRIFT} | (THRIFT if thrifty else {})
    run = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    first, within, after, given_back = map(int, run.stdout.split())
    if not thrifty:
        assert within < 5000  # glibc learns by itself, and is left to
        return
    assert within < first / 10
    assert after > first / 2
    assert given_back > 10_000  # kB, of the 80 MB that were freed last
