"""Our executors pass the suite that is shipped for others'."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from bigcell.cluster.dask import DaskExecutor
from bigcell.engine.runtime.executors import Executor, ProcessExecutor, SerialExecutor
from bigcell.testing import ExecutorTests


class TestSerialExecutor(ExecutorTests):
    @pytest.fixture
    def executor(self) -> Executor:
        return SerialExecutor()


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with closing(ProcessExecutor(2)) as executor:
        yield executor


@pytest.fixture(scope="module")
def dask_workers() -> Iterator[Executor]:
    with closing(DaskExecutor.local(2)) as executor:
        yield executor


class TestProcessExecutor(ExecutorTests):
    @pytest.fixture
    def executor(self, processes: Executor) -> Executor:
        return processes


class TestDaskExecutor(ExecutorTests):
    @pytest.fixture
    def executor(self, dask_workers: Executor) -> Executor:
        return dask_workers
