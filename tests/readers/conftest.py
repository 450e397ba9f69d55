"""The stores, written once, and what each reader says of them, asked once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.readers.readers import READERS, Reader
from tests.readers.stores import Store, write_stores

Stores = dict[tuple[str, str], Store]
Ask = Callable[[Reader], dict[tuple[str, str], dict[str, Any]]]


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    if not any(reader.is_there for reader in READERS):
        pytest.skip("no reader has an environment of its own: ./scripts/readers")
    return write_stores(tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="session")
def ask(stores: Stores) -> Ask:
    """reader -> what it says of each store, by form and kind."""

    @cache
    def asked(reader: Reader) -> dict[tuple[str, str], dict[str, Any]]:
        needs(reader)
        said = reader.say(store.place for store in stores.values())
        return {name: said[str(store.place)] for name, store in stores.items()}

    return asked


def needs(reader: Reader) -> None:
    """Skip where the environment of `reader` was not made."""
    if not reader.is_there:
        pytest.skip(f"{reader.package} is not installed in an environment of its own: ./scripts/readers")


@pytest.fixture(scope="session")
def say() -> Callable[[Reader, Path], dict[str, Any]]:
    """(reader, place) -> what it says of one store."""

    def one(reader: Reader, place: Path) -> dict[str, Any]:
        needs(reader)
        said: dict[str, Any] = reader.say([place])[str(place)]
        return said

    return one
