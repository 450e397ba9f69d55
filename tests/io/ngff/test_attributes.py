"""Group attributes by ome-zarr: nothing is lost on the way through it, and nothing invalid comes out."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from bigcell.io.ngff.attributes import multiscale_attributes
from bigcell.io.ngff.coordinate_systems import as_newer
from bigcell.io.ngff.layout import Place, axes_metadata, dataset_metadata

AXES = axes_metadata("czx", (None, "micrometer", None))
LEVELS = [
    dataset_metadata("0", Place((1.0, 2.0, 0.5), (0.0, 0.0, 0.0))),
    dataset_metadata("1", Place((1.0, 2.0, 1.0), (0.0, 0.0, 0.25))),
]
ENTRY: dict[str, Any] = {"name": "a", "axes": AXES, "datasets": LEVELS, "type": "mean", "metadata": {"method": "m"}}
WINDOW = {"min": 0.0, "max": 9.0, "start": 1.0, "end": 2.0}
OMERO = {"channels": [{"label": "dna", "color": "FFFFFF", "active": True, "window": WINDOW}], "rdefs": {"defaultZ": 3}}


@pytest.mark.parametrize("others", [{}, {"omero": OMERO}, {"image-label": {"source": {"image": "../../"}}}])
@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_all_that_is_given_is_there(version: str, others: dict[str, Any]) -> None:
    found = multiscale_attributes(ENTRY, version, **others)
    if version == "0.4":
        assert found == {"multiscales": [{**ENTRY, "version": "0.4"}], **others}
    else:
        entry = as_newer(ENTRY) if version == "0.6" else ENTRY
        assert found == {"ome": {"version": version, "multiscales": [entry], **others}}


def test_what_is_given_stays_as_it_was() -> None:
    others = {"omero": {**OMERO}}
    made = multiscale_attributes(ENTRY, "0.5", **others)
    made["ome"]["omero"]["channels"].clear()
    assert others["omero"]["channels"]
    assert "version" not in ENTRY


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_axes_in_an_order_of_their_own_are_written_as_they_are(version: str) -> None:
    odd = {**ENTRY, "axes": axes_metadata("zxt", (None, None, None))}
    found = multiscale_attributes(odd, version)
    (entry,) = found.get("ome", found)["multiscales"]
    assert [axis["name"] for axis in entry["axes"]] == ["z", "x", "t"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"datasets": []}, "Empty datasets"),
        ({"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0]}]}]}, "must match"),
        ({"axes": AXES[1:]}, "must match"),
    ],
)
def test_what_the_format_does_not_allow_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        multiscale_attributes({**ENTRY, **wrong}, "0.5")


def test_who_only_reads_does_not_wait_for_it() -> None:
    code = "import sys, bigcell.io.ngff.write_image, bigcell.io.labels.label_store; print('ome_zarr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
