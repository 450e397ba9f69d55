"""Other programs read what we write: axes, voxel size, units, names of channels, dtype, every voxel of each level."""

from __future__ import annotations

import os

import pytest

from tests.readers import page
from tests.readers.conftest import Ask, Stores
from tests.readers.readers import READERS, Reader, wrong
from tests.readers.stores import FORMS, KINDS

pytestmark = pytest.mark.readers

REFUSED = {
    "bioio-ome-zarr": {("0.6 sharded", kind) for kind in KINDS} | {(".ozx", "labels")},
    "cloud-volume": {(form, kind) for form in ("0.5 sharded", "0.6 sharded", ".ozx") for kind in KINDS}
    | {("0.4", "czyx"), ("0.5", "czyx")},
    "iohub": {("0.6 sharded", kind) for kind in KINDS},
    "itk-ioomezarrngff": {(form, kind) for form in FORMS if form != "0.4" for kind in KINDS},
    "napari-ome-zarr": {(".ozx", kind) for kind in KINDS},
    "ngio": {("0.6 sharded", kind) for kind in KINDS},
}
"""What a reader cannot open, and says so: forms that it does not know, and for cloud-volume several channels."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.package)
def test_what_a_reader_tells_is_so(ask: Ask, stores: Stores, reader: Reader, form: str) -> None:
    for kind in KINDS:
        said = ask(reader)[form, kind]
        assert ("error" in said) == ((form, kind) in REFUSED.get(reader.package, set())), (kind, said)
        assert "error" in said or not wrong(said, stores[form, kind].facts), (kind, said)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.package)
def test_no_reader_stumbles_over_the_files_beside_the_levels(ask: Ask, reader: Reader) -> None:
    """zarr warns of them where a group is listed, which none of these do."""
    told = [text for facts in ask(reader).values() for text in facts["warnings"]]
    assert not [text for text in told if "not recognized" in text]


def test_the_page_has_what_they_told(ask: Ask, stores: Stores) -> None:
    made = page.table({reader: ask(reader) for reader in READERS}, stores)
    if os.environ.get("BIGCELL_READERS_WRITE"):
        page.write(made)
    assert page.written() == made, "run ./scripts/readers --write"
