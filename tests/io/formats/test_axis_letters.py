"""Letters that a file tells are kept in what is proposed; a y or x that looks like channels is asked about."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile

from bigcell.core.errors import InputError
from bigcell.io.formats.axis_letters import guessed_axes
from bigcell.io.formats.convert import open_pixels
from bigcell.io.formats.stacks import checked_axes


@pytest.mark.parametrize(
    ("found", "shape", "axes"),
    [
        ("QYXS", (6, 64, 64, 3), "zyxs"),
        ("QQYXS", (2, 6, 64, 64, 3), "zcyxs"),
        ("QSYX", (6, 3, 64, 64), "zsyx"),
        ("ICYX", (6, 3, 64, 64), "zcyx"),
        ("QZYX", (6, 3, 64, 64), "czyx"),
        ("QZCYX", (6, 3, 2, 64, 64), "tzcyx"),
        ("IYX", (6, 64, 64), "zyx"),
        ("QQYX", (6, 2, 64, 64), "zcyx"),
        ("QQQYX", (2, 6, 2, 64, 64), "tzcyx"),
        ("QQYX", (6, 64, 64, 3), "zyxc"),
        ("QYX", (64, 64, 2), "yxc"),
        ("?", (64, 64, 4), "yxc"),
        ("?", (64, 64, 1), "yxc"),
        ("?", (6, 64, 64, 3), "zyxc"),
        ("?", (2, 6, 64, 64, 3), "tzyxc"),
        ("?", (3, 4, 3), "zyx"),
        ("?", (6, 64, 64), "zyx"),
    ],
)
def test_what_is_proposed(found, shape, axes):
    assert guessed_axes(found, shape) == axes


@pytest.mark.parametrize("found", ["QQYX", "ZCYX", "?"])
@pytest.mark.parametrize(
    ("wanted", "shape", "proposed"),
    [
        ("zcyx", (6, 64, 64, 3), "zyxc"),
        ("zcyx", (6, 64, 64, 4), "zyxc"),
        ("czyx", (64, 64, 6, 2), "zyxc"),
        ("tzyx", (64, 64, 64, 1), "zyxc"),
        ("zcyx", (6, 64, 3, 64), "zycx"),
    ],
)
def test_few_voxels_beside_many_channels_are_asked_about(found, wanted, shape, proposed):
    with pytest.raises(InputError, match=rf"give axes='{proposed}' if .* channels or colours, else '{wanted}!'"):
        checked_axes(found, shape, wanted, shown="a")
    assert checked_axes(found, shape, f"{wanted}!", shown="a") == wanted
    assert checked_axes(found, shape, proposed, shown="a") == proposed


@pytest.mark.parametrize(
    ("wanted", "shape"),
    [
        ("zyx", (5, 3, 3)),  # a small crop
        ("tyx", (500, 1, 512)),  # a scan of one line
        ("zyx", (64, 64, 5)),
        ("yx", (64, 3)),
        ("zyxc", (6, 64, 64, 3)),
        ("cyx", (3, 64, 64)),
    ],
)
def test_what_can_well_be_is_not_asked_about(wanted, shape):
    assert checked_axes("?" * len(shape), shape, wanted, shown="a") == wanted


def test_colours_that_the_file_tells_are_no_columns():
    with pytest.raises(InputError, match="give axes='zyxs'"):
        checked_axes("QYXS", (6, 8, 8, 3), "zcyx", shown="a")
    assert checked_axes("QYXS", (6, 8, 8, 3), "zyxc", shown="a") == "zyxc"


PIXELS = np.arange(6 * 20 * 24 * 3).reshape(6, 20, 24, 3)


@pytest.mark.parametrize(
    ("dtype", "options", "axes"),
    [
        (np.uint8, {"photometric": "rgb"}, "zyxs"),
        (np.uint8, {"photometric": "rgb", "compression": "zlib"}, "zyxs"),
        (np.uint16, {"photometric": "minisblack"}, "zyxc"),
        (np.uint16, {"photometric": "minisblack", "imagej": True}, "zyxc"),
        (np.uint16, {"photometric": "minisblack", "ome": True}, "zyxc"),
        (np.float32, {"photometric": "minisblack", "imagej": True}, "zyxc"),
    ],
)
def test_what_an_error_proposes_is_right(tmp_path, dtype, options, axes):
    pixels = PIXELS.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    with pytest.raises(InputError) as caught:
        open_pixels(tmp_path / "a.tif")
    assert re.search(r"axes='(\w+)'( \(t time| if these)", str(caught.value))[1] == axes
    (volume,) = open_pixels(tmp_path / "a.tif", axes=axes)
    assert (volume.extent, len(volume.channels)) == ((6, 20, 24), 3)


def test_arrays_with_channels_last_are_proposed_as_such():
    for array, axes in ((PIXELS, "zyxc"), (PIXELS[0], "yxc"), (PIXELS[..., :1], "zyxc")):
        with pytest.raises(InputError, match=f"as in axes='{axes}'"):
            open_pixels(array)
        assert len(open_pixels(array, axes=axes)[0].channels) == array.shape[-1]


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_arrays_with_channels_second_are_proposed_as_such(channels):
    array = np.zeros((12, channels, 20, 24), np.uint8)
    with pytest.raises(InputError, match="as in axes='zcyx'"):
        open_pixels(array)
    assert open_pixels(array, axes="zcyx")[0].extent == (12, 20, 24)
    assert len(open_pixels(array.transpose(1, 0, 2, 3))[0].channels) == channels
