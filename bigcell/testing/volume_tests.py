"""The suite that every volume passes: subclass it in pytest to test a volume of your own."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.volume import Array, Volume

BOXES = 25


class VolumeTests:
    """Check that an object is a volume that bigcell can segment.

    Subclass it under a name that starts with ``Test`` and give a pytest fixture `volume`. The volume must be small,
    since the whole of it is read. Override `expected` if its voxels are known. Nothing else is needed of pytest.

    See Also
    --------
    bigcell.testing.ExecutorTests : The same for what runs the tasks.

    Examples
    --------
    >>> class TestMine(VolumeTests):
    ...     @pytest.fixture
    ...     def volume(self, tmp_path):
    ...         return MyVolume(tmp_path / "stack.xyz")        # doctest: +SKIP
    """

    def expected(self, volume: Volume) -> Array | None:
        """Give the voxels ``(channel, z, y, x)`` that `volume` must have; None if they are not known."""
        return None

    def test_extent_is_three_whole_numbers(self, volume: Volume) -> None:
        """It has planes, rows and columns, at least one of each."""
        assert isinstance(volume.extent, tuple)
        assert len(volume.extent) == 3, f"extent {volume.extent}: wanted (z, y, x)"
        assert all(isinstance(n, int) and n > 0 for n in volume.extent), f"extent {volume.extent}: wanted int above 0"

    def test_channels_are_names(self, volume: Volume) -> None:
        """It has a tuple of at least one name."""
        assert isinstance(volume.channels, tuple)
        assert volume.channels, "no channels: wanted at least one name"
        assert all(isinstance(name, str) for name in volume.channels), f"channels {volume.channels}: wanted str"

    def test_spacing_is_the_size_of_a_voxel(self, volume: Volume) -> None:
        """It says how large a voxel is, or that this is not known."""
        assert isinstance(volume.spacing, Spacing), f"spacing {volume.spacing!r}: wanted a bigcell.core.axes.Spacing"

    def test_dtype_is_a_number_in_the_order_of_the_machine(self, volume: Volume) -> None:
        """Voxels are integers or floats; bool and foreign byte orders are converted by the volume."""
        assert isinstance(volume.dtype, np.dtype), f"dtype {volume.dtype!r}: wanted a numpy dtype, not its name"
        assert volume.dtype.kind in "uif", f"dtype {volume.dtype}: wanted integers or floats"
        assert volume.dtype.isnative, f"dtype {volume.dtype}: wanted the byte order of the machine"

    def test_the_whole_is_as_it_says(self, volume: Volume) -> None:
        """Channels come first, then z, y, x, in the dtype that was promised; values are the expected ones."""
        whole = _whole(volume)
        assert whole.shape == (len(volume.channels), *volume.extent)
        assert whole.dtype == volume.dtype
        expected = self.expected(volume)
        if expected is not None:
            np.testing.assert_array_equal(whole, expected)

    def test_any_box_is_that_part_of_the_whole(self, volume: Volume) -> None:
        """Reading box by box gives the voxels of one read over everything."""
        whole = _whole(volume)
        for box in _boxes(volume.extent):
            part = volume.read(box)
            assert part.dtype == volume.dtype
            np.testing.assert_array_equal(part, whole[(slice(None), *box.slices)], err_msg=f"{box}")

    def test_a_pickled_copy_reads_the_same(self, volume: Volume) -> None:
        """A worker gets a copy through pickle, before or after the first read."""
        fresh = pickle.loads(pickle.dumps(volume))
        whole = _whole(volume)
        for copy in (fresh, pickle.loads(pickle.dumps(volume))):
            assert (copy.extent, copy.channels, copy.dtype) == (volume.extent, volume.channels, volume.dtype)
            assert copy.spacing == volume.spacing
            np.testing.assert_array_equal(_whole(copy), whole)

    def test_a_box_outside_is_refused(self, volume: Volume) -> None:
        """A box that passes a face raises ValueError: it is not clipped, filled or counted from the end."""
        for box in _boxes_outside(volume.extent):
            try:
                volume.read(box)
            except ValueError:
                continue
            raise AssertionError(f"{box} passes a face of extent {volume.extent} and was read; wanted a ValueError")


def _whole(volume: Volume) -> Array:
    return volume.read(Box.of(volume.extent))


def _boxes(extent: tuple[int, int, int]) -> Iterator[Box]:
    """The first and the last voxel, a plane, a column, and boxes at random; the same for the same extent."""
    yield Box((0, 0, 0), (1, 1, 1))
    yield Box(tuple(n - 1 for n in extent), extent)
    yield Box((0, 0, 0), (1, *extent[1:]))
    yield Box((0, 0, extent[2] - 1), extent)
    random = np.random.default_rng(0)
    for _ in range(BOXES):
        ends = [sorted(random.integers(0, n + 1, 2).tolist()) for n in extent]
        pairs = [(a, b) if a < b else (max(0, a - 1), max(1, b)) for a, b in ends]
        yield Box(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def _boxes_outside(extent: tuple[int, int, int]) -> Iterator[Box]:
    for axis, length in enumerate(extent):
        for start, stop in ((-1, 1), (-1, 0), (length - 1, length + 1), (length, length + 1)):
            low, high = [0, 0, 0], [1, 1, 1]
            low[axis], high[axis] = start, stop
            yield Box(tuple(low), tuple(high))
