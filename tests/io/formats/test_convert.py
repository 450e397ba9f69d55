"""Whatever holds pixels becomes the same pixels in OME-Zarr; what is ambiguous or damaged is asked about."""

from __future__ import annotations

import pickle
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ome_zarr_models import open_ome_zarr
from PIL import Image
from skimage.io import imsave

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.io.formats.convert import convert, open_pixels
from bigcell.io.ngff.image import open_image, read_info

SIZES = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 6, "s": 3}


def pixels(axes, dtype=np.uint16):
    shape = tuple(SIZES[a] for a in axes)
    return (np.arange(np.prod(shape)) % 65521).astype(dtype).reshape(shape)


def as_tczyx(array, axes):
    """The slow plain way: missing axes added, colour samples inside channels."""
    for a in "tczyxs":
        if a not in axes:
            axes, array = a + axes, array[None]
    array = np.moveaxis(array, [axes.index(a) for a in "tcszyx"], range(6))
    return array.reshape(array.shape[0], -1, *array.shape[3:])


def voxels_of(volumes):
    return np.stack([v.read(Box.of(v.extent)) for v in volumes])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_plain_tiffs_of_any_axes(tmp_path, data):
    axes = "".join(
        data.draw(st.permutations(data.draw(st.sampled_from(["zyx", "tzyx", "czyx", "tcyx", "tczyx", "cyx"]))))
    )
    compression = data.draw(st.sampled_from([None, "zlib"]))
    array = pixels(axes)
    byteorder = data.draw(st.sampled_from("<>"))
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression, photometric="minisblack", byteorder=byteorder)
    volumes = open_pixels(tmp_path / "a.tif", axes=axes)
    expected = as_tczyx(array, axes)
    assert np.array_equal(voxels_of(volumes), expected)
    t = data.draw(st.integers(0, len(volumes) - 1))
    start = tuple(data.draw(st.integers(0, n - 1)) for n in volumes[t].extent)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, volumes[t].extent, strict=True))
    box = Box(start, stop)
    assert np.array_equal(volumes[t].read(box), expected[(t, slice(None), *box.slices)])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_imagej_says_axes_and_voxel_size(tmp_path, compression):
    array = pixels("tzcyx")
    about = {"axes": "TZCYX", "spacing": 3.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata=about, resolution=(4, 2), compression=compression)
    path = convert(tmp_path / "a.tif", tmp_path / "a.zarr", channels=["a", "b", "c"])
    open_ome_zarr(path, version="0.5")
    info = read_info(path)
    assert (info.axes, info.channels, info.spacing()) == (tuple("tczyx"), ("a", "b", "c"), Spacing(3.0, 0.5, 0.25))
    read = voxels_of([open_image(path, time=t) for t in range(2)])
    assert np.array_equal(read, as_tczyx(array, "tzcyx"))


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"rowsperstrip": 3}])
def test_ome_says_axes_names_and_voxel_size(tmp_path, options):
    array = pixels("czyx")
    about = {
        "axes": "CZYX", "PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2,
        "Channel": {"Name": ["DAPI", "actin", "tubulin"]},
    }  # fmt: skip
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata=about, photometric="minisblack", **options)
    (volume,) = open_pixels(tmp_path / "a.ome.tif")
    assert volume.channels == ("DAPI", "actin", "tubulin")
    assert volume.spacing == Spacing(2.0, 0.5, 0.25)
    assert np.array_equal(volume.read(Box.of(volume.extent)), array)
    again = pickle.loads(pickle.dumps(volume))
    assert np.array_equal(again.read(Box((1, 2, 3), (3, 4, 6))), array[:, 1:3, 2:4, 3:6])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_colours_become_channels(tmp_path, planar, compression):
    axes = "yxs" if planar == "contig" else "syx"
    array = pixels(axes, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", planarconfig=planar, compression=compression)
    (volume,) = open_pixels(tmp_path / "a.tif")
    assert volume.channels == ("red", "green", "blue")
    assert np.array_equal(volume.read(Box.of(volume.extent)), as_tczyx(array, axes)[0])


def test_what_the_user_says_goes_first(tmp_path):
    array = pixels("zyx")
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "ZYX", "unit": "um"}, resolution=(1, 1))
    path = convert(tmp_path / "a.tif", tmp_path / "a.zarr", axes="cyx", spacing_um=(1, 0.2, 0.1), version="0.4")
    info = read_info(path)
    assert (info.axes, info.version, info.spacing()) == (("c", "y", "x"), "0.4", Spacing(1, 0.2, 0.1))
    assert np.array_equal(voxels_of([open_image(path)])[0, :, 0], array)


@pytest.mark.parametrize("unit", ["pixel", "inch is wrong", None])
def test_a_size_without_a_unit_is_no_size(tmp_path, unit):
    tifffile.imwrite(tmp_path / "a.tif", pixels("zyx"), imagej=True, metadata={"axes": "ZYX", "unit": unit})
    assert not open_pixels(tmp_path / "a.tif")[0].spacing.known


def test_ambiguous_axes_are_asked_about(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels("zcyx"), metadata=None, photometric="minisblack")
    with pytest.raises(InputError, match=r"does not say what its axes are; give them, for example axes='zyx'"):
        open_pixels(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", pixels("zcyx"), photometric="minisblack")
    with pytest.raises(InputError, match=r"shape 4 x 3 x 5 x 6, .* give them, for example axes='zcyx'"):
        open_pixels(tmp_path / "b.tif")
    for axes in ("zyx", "zzyx", "qcyx", "zcty"):
        with pytest.raises(InputError, match=r"do not fit; wanted one letter|has no y and x"):
            open_pixels(tmp_path / "b.tif", axes=axes)


def test_several_images_in_a_file_are_asked_about(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        for value in (1, 2):
            tif.write(np.full((3, 8, 9), value, np.uint8), metadata={"axes": "ZYX"}, photometric="minisblack")
    with pytest.raises(InputError, match=r"holds 2 images .* choose one with series="):
        open_pixels(tmp_path / "a.ome.tif")
    assert voxels_of(open_pixels(tmp_path / "a.ome.tif", series=1)).max() == 2
    with pytest.raises(InputError, match=r"series=2 is not one of 0\.\.1"):
        open_pixels(tmp_path / "a.ome.tif", series=2)


def test_pages_written_one_by_one_are_one_stack(tmp_path):
    array = pixels("zyx")
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for plane in array:
            tif.write(plane, contiguous=False, compression="zlib")
    assert np.array_equal(voxels_of(open_pixels(tmp_path / "a.tif", axes="zyx"))[0, 0], array)


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain", "compressed"])
def test_a_file_cut_short_anywhere_is_an_error(tmp_path, kind):
    options = {
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
        "plain": {"metadata": None},
        "compressed": {"metadata": {"axes": "ZYX"}, "compression": "zlib"},
    }[kind]
    array = np.random.default_rng(0).integers(0, 999, (6, 40, 50)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", **options)
    whole = (tmp_path / "a.tif").read_bytes()
    for share in (0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98):
        (tmp_path / "cut.tif").write_bytes(whole[: int(len(whole) * share)])
        try:
            read = voxels_of(open_pixels(tmp_path / "cut.tif", axes="zyx"))
        except InputError:
            continue
        # tifffile keeps OME metadata at the end: all pixels may be there without it
        assert (kind, share) == ("ome", 0.98)
        assert np.array_equal(read[0, 0], array)


def test_damaged_pixels_are_an_error(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels("zyx"), imagej=True, metadata={"axes": "ZYX"}, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        offset = tif.pages[2].dataoffsets[0]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + 40] = b"\xff" * 40
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as TIFF"):
        convert(tmp_path / "a.tif", tmp_path / "a.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_a_missing_codec_names_the_extra(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels("zyx"), imagej=True, metadata={"axes": "ZYX"}, compression="lzw")
    program = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from bigcell.io.formats.convert import convert\n"
        "from bigcell.core.errors import InputError\n"
        "try: convert(sys.argv[1], sys.argv[2])\n"
        "except InputError as error: sys.exit(str(error))"
    )
    command = [sys.executable, "-c", program, tmp_path / "a.tif", tmp_path / "a.zarr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "bigcell[formats]" in done.stderr
    assert not (tmp_path / "a.zarr").exists()


def test_folders_of_planes_are_sorted_by_number(tmp_path):
    (tmp_path / "scan").mkdir()
    array = pixels("zyx")
    for z, number in enumerate([1, 2, 10, 11]):
        tifffile.imwrite(tmp_path / "scan" / f"z{number}.tif", array[z])
    (tmp_path / "scan" / "notes.txt").write_text("x")
    (volume,) = open_pixels(tmp_path / "scan", spacing=Spacing(2, 1, 1))
    assert np.array_equal(volume.read(Box.of(volume.extent))[0], array)
    assert np.array_equal(volume.read(Box((1, 2, 3), (3, 5, 5)))[0], array[1:3, 2:5, 3:5])
    assert volume.spacing == Spacing(2, 1, 1)
    tifffile.imwrite(tmp_path / "scan" / "z12.tif", array[0, :4])
    with pytest.raises(InputError, match=r"z12.tif is uint16 \(4, 6\) .* wanted all alike"):
        convert(tmp_path / "scan", tmp_path / "scan.zarr")


def test_folders_that_are_not_planes(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        open_pixels(tmp_path)
    for z in range(2):
        for c in range(2):
            imsave(tmp_path / f"z{z}_c{c}.png", np.zeros((4, 5), np.uint8), check_contrast=False)
    with pytest.raises(InputError, match="differ in 2 numbers"):
        open_pixels(tmp_path)
    assert open_pixels(tmp_path, axes="zyx")[0].extent == (4, 4, 5)
    with pytest.raises(InputError, match="has axes 'zyx', not 'tyx'"):
        open_pixels(tmp_path, axes="tyx")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 4, 5), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match="holds more than one plane"):
        open_pixels(tmp_path, axes="zyx")


@pytest.mark.parametrize(
    ("shape", "names"),
    [((20, 24), ("0",)), ((20, 24, 3), ("red", "green", "blue")), ((20, 24, 4), ("red", "green", "blue"))],
)
def test_pictures(tmp_path, shape, names):
    array = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    imsave(tmp_path / "a.png", array)
    (volume,) = open_pixels(tmp_path / "a.png")
    assert (volume.extent, volume.channels) == ((1, 20, 24), names)
    expected = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)[:3]
    assert np.array_equal(volume.read(Box.of(volume.extent))[:, 0], expected)
    (tmp_path / "bad.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(InputError, match="cannot be read as an image"):
        open_pixels(tmp_path / "bad.png")


def test_sixteen_bits_of_a_png_survive(tmp_path):
    array = pixels("yx") * 2011
    imsave(tmp_path / "a.png", array, check_contrast=False)
    assert np.array_equal(voxels_of(open_pixels(tmp_path / "a.png"))[0, 0, 0], array)


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_sixteen_bits_of_colours_survive(tmp_path, samples, monkeypatch):
    array = (pixels("yx")[..., None] * 2011 + np.arange(samples)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    (volume,) = open_pixels(tmp_path / "a.png")
    assert np.array_equal(
        volume.read(Box.of(volume.extent))[:, 0], np.moveaxis(array, -1, 0)[: 1 if samples == 2 else 3]
    )
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(InputError, match=r"colours of 16 bits, which need one more package; .*bigcell\[formats\]"):
        open_pixels(tmp_path / "a.png")


def test_grey_with_transparency_is_grey(tmp_path):
    array = pixels("yx", np.uint8)
    imsave(tmp_path / "a.png", np.stack([array, array * 0 + 9], -1), check_contrast=False)
    assert np.array_equal(voxels_of(open_pixels(tmp_path / "a.png"))[0, :, 0], array[None])


def test_inks_and_animations_are_no_channels(tmp_path):
    picture = Image.fromarray(np.moveaxis(np.stack([pixels("yx", np.uint8)] * 3), 0, -1))
    picture.convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"holds inks \(CMYK\), wanted colours or grey; save it as RGB"):
        open_pixels(tmp_path / "a.jpg")
    picture.save(tmp_path / "b.png", save_all=True, append_images=[picture.rotate(180)])
    with pytest.raises(InputError, match="holds 2 pictures, wanted one a file"):
        open_pixels(tmp_path / "b.png")


def test_npy_files_and_arrays(tmp_path):
    array = pixels("tczyx")
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(voxels_of(open_pixels(tmp_path / "a.npy", axes="tczyx")), array)
    assert np.array_equal(voxels_of(open_pixels(array[0])), array[:1])
    with pytest.raises(InputError, match="does not say what its axes are"):
        open_pixels(tmp_path / "a.npy")
    with pytest.raises(InputError, match="does not say what its axes are; they may be 'zyx' or 'yxc'"):
        open_pixels(pixels("yxs"))
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"not a .npy file of numbers"):
        open_pixels(tmp_path / "evil.npy")
    with pytest.raises(InputError, match="dtype complex128"):
        open_pixels(np.zeros((3, 4), complex))


@pytest.mark.parametrize("shape", [(12, 2, 9, 9), (9, 9, 9, 2), (9, 9, 3), (9, 9, 1), (5, 4, 6, 6)])
def test_npy_files_whose_axes_are_in_doubt_are_asked_about(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="does not say what its axes are"):
        open_pixels(tmp_path / "a.npy")


def test_zarr_to_zarr(make_store, tmp_path):
    path, voxels = make_store("tczyx", version="0.4", channels=["a", "b", "c"])
    new = convert(path, tmp_path / "new.zarr", spacing_um=(4, 1, 1))
    info = read_info(new)
    assert (info.version, info.channels, info.spacing()) == ("0.5", ("a", "b", "c"), Spacing(4, 1, 1))
    assert np.array_equal(voxels_of([open_image(new, time=t) for t in range(2)]), voxels)
    with pytest.raises(InputError, match="names its axes itself"):
        convert(path, tmp_path / "other.zarr", axes="zyx")


def test_bad_requests(tmp_path):
    (tmp_path / "a.czi").write_bytes(b"x")
    (tmp_path / "b.tif").write_bytes(b"no tiff")
    for source, message in [
        ("a.czi", r"bigcell cannot read \.czi: make an OME-Zarr or TIFF .*; wanted \.bmp"),
        ("b.tif", "cannot be read as TIFF"),
        ("c.tif", "does not exist"),
    ]:
        with pytest.raises(InputError, match=message):
            convert(tmp_path / source, tmp_path / "o.zarr")
    for spacing in ((1, 2), (0, 1, 1), ("a", 1, 1), (1, 1, float("nan"))):
        with pytest.raises(SettingsError, match="wanted three positive numbers"):
            convert(pixels("zyx"), tmp_path / "o.zarr", spacing_um=spacing)
    with pytest.raises(SettingsError, match="2 channel names for 1 channels"):
        convert(pixels("zyx"), tmp_path / "o.zarr", channels=["a", "b"])
    assert not (tmp_path / "o.zarr").exists()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "axes"),
    [("mouse_brain_30x510x667", "zyx"), ("mesospim_nuclei_124x86x94", "zyx"), ("two_channel_75x2x75x75", "zcyx")],
)
def test_real_stacks(real_data, tmp_path, name, axes):
    source = real_data / "volumes" / name / "image.tif"
    path = convert(source, tmp_path / "o.zarr", axes=axes, spacing_um=(2, 1, 1))
    open_ome_zarr(path, version="0.5")
    array = tifffile.imread(source)
    assert np.array_equal(voxels_of([open_image(path)]), as_tczyx(array, axes))
    with pytest.raises(InputError, match="does not say what its axes are"):
        open_pixels(source)
