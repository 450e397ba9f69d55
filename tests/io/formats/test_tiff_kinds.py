"""Kinds of TIFF that people have: sets of files, pyramids, previews, alpha, huge hyperstacks; each with its voxels."""

from __future__ import annotations

import json
import struct
import uuid

import numpy as np
import pytest
import tifffile

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.evaluation.inputs import open_labels
from bigcell.io.formats.convert import convert, open_pixels
from bigcell.io.ngff.image import open_image

STACK = (np.arange(4 * 32 * 40) % 251).reshape(4, 32, 40).astype(np.uint16)
PLANE = STACK[0].astype(np.uint8)
RGBA = np.stack([PLANE, PLANE // 2, PLANE // 3, np.full_like(PLANE, 255)], -1)


def read(path, **options):
    (volume,) = open_pixels(path, **options)
    return volume, volume.read(Box.of(volume.extent))


def write_set(folder, *, planes=4, main=None, names="s_Z{:03d}.ome.tif"):
    """An OME-TIFF set, one plane a file. `main`: the only file with all of the XML, to which the others refer."""
    folder.mkdir(exist_ok=True)
    ids = [f"urn:uuid:{uuid.UUID(int=i + 1)}" for i in range(planes)]
    files = [names.format(i) for i in range(planes)]
    data = "".join(
        f'<TiffData IFD="0" FirstZ="{i}" PlaneCount="1"><UUID FileName="{n}">{u}</UUID></TiffData>'
        for i, (n, u) in enumerate(zip(files, ids, strict=True))
    )
    home = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    for i, name in enumerate(files):
        body = (
            f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="40" SizeY="32" '
            f'SizeZ="{planes}" SizeC="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="2">'
            f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{data}</Pixels></Image>'
        )
        if main not in (None, name):
            body = f'<BinaryOnly MetadataFile="{main}" UUID="{ids[0]}"/>'
        xml = f'<?xml version="1.0" encoding="UTF-8"?><OME {home} UUID="{ids[i]}">{body}</OME>'
        tifffile.imwrite(folder / name.replace("/", "_"), STACK[i], description=xml, metadata=None)
    return [folder / name for name in files]


@pytest.mark.parametrize("entry", [None, 0, 2, 3])
@pytest.mark.parametrize("main", [None, "s_Z000.ome.tif"])
def test_a_set_is_one_stack_from_the_folder_and_from_any_file(tmp_path, entry, main):
    files = write_set(tmp_path / "set", main=main)
    volume, voxels = read(tmp_path / "set" if entry is None else files[entry])
    assert volume.spacing == Spacing(2.0, 0.5, 0.5)
    assert np.array_equal(voxels[0], STACK)
    assert open_labels(tmp_path / "set").extent == (4, 32, 40)


def test_a_set_is_converted_without_a_warning(tmp_path):
    write_set(tmp_path / "set")
    image = open_image(convert(tmp_path / "set", tmp_path / "o.zarr"))
    assert np.array_equal(image.read(Box.of(image.extent))[0], STACK)


@pytest.mark.parametrize("gone", [[0], [2], [3], [0, 1, 2]])
def test_what_lacks_of_a_set_is_named(tmp_path, gone):
    files = write_set(tmp_path / "set")
    for number in gone:
        files[number].unlink()
    left = next(f for f in files if f.exists())
    for source in (tmp_path / "set", left):
        with pytest.raises(InputError, match=rf"lacks {len(gone)} of 4 planes; .*{files[gone[0]].name}.* not there"):
            open_pixels(source)


def test_a_set_without_its_metadata_is_said(tmp_path):
    files = write_set(tmp_path / "set", main="s_Z000.ome.tif")
    files[0].unlink()
    with pytest.raises(InputError, match=r"metadata are in 's_Z000.ome.tif': wanted that file beside it"):
        open_pixels(files[1])
    write_set(tmp_path / "circle", main="s_Z000.ome.tif")[1].rename(files[0])
    with pytest.raises(InputError, match=r"refers to s_Z000.ome.tif for its metadata, which has none"):
        open_pixels(files[1])
    files = write_set(tmp_path / "companion", main="set.companion.ome")
    with pytest.raises(InputError, match=r"metadata are in 'set.companion.ome': wanted .* a TIFF"):
        open_pixels(tmp_path / "companion")


@pytest.mark.parametrize(("first", "spacing"), [("0.1", Spacing(1.0, 0.1, 0.1)), ("0.5", Spacing(1.0, 0.5, 0.5))])
@pytest.mark.parametrize("alike", [True, False])
def test_sizes_are_those_of_the_image_that_is_there(tmp_path, first, spacing, alike):
    """A file of a set of several images: the XML lists all of them, and only its own is beside it."""
    home = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    images = "".join(
        f'<Image ID="Image:{i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYZCT" Type="uint16" SizeX="{x}" SizeY="32" '
        f'SizeZ="1" SizeC="1" SizeT="1" PhysicalSizeX="{size}" PhysicalSizeY="{size}"><Channel ID="Channel:{i}:0"/>'
        f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{i}.ome.tif">urn:uuid:{i}</UUID></TiffData></Pixels></Image>'
        for i, (size, x) in enumerate([(first, 40 if alike else 20), ("0.5", 40)])
    )
    xml = f'<?xml version="1.0" encoding="UTF-8"?><OME {home} UUID="urn:uuid:1">{images}</OME>'
    tifffile.imwrite(tmp_path / "1.ome.tif", STACK[0], description=xml, metadata=None)
    found = read(tmp_path / "1.ome.tif")[0].spacing
    certain = Spacing(1.0, 0.5, 0.5)
    assert found == (certain if not alike or spacing == certain else Spacing(known=False))


def test_a_set_beside_others_is_asked_about(tmp_path):
    files = write_set(tmp_path / "set")
    tifffile.imwrite(tmp_path / "set" / "t_overview.tif", PLANE)
    with pytest.raises(InputError, match=r"holds a set of 4 OME-TIFF files .* and others \(t_overview.tif"):
        open_pixels(tmp_path / "set")
    assert read(files[1])[0].extent == (4, 32, 40)


@pytest.mark.parametrize("name", ["../{}.ome.tif", "/etc/{}.ome.tif"])
def test_a_set_that_leads_out_of_its_folder_is_not_read(tmp_path, name):
    write_set(tmp_path / "set", names=name)
    with pytest.raises(InputError, match="leads out of its folder"):
        open_pixels(next((tmp_path / "set").iterdir()))


def test_a_file_of_a_set_that_is_cut_short_is_an_error(tmp_path):
    files = write_set(tmp_path / "set")
    files[2].write_bytes(files[2].read_bytes()[:-100])
    with pytest.raises(InputError, match=r"s_Z002.ome.tif is cut short"):
        open_pixels(files[0])


def test_planes_that_are_ome_files_of_their_own_are_a_folder_of_planes(tmp_path):
    (tmp_path / "scan").mkdir()
    for z, plane in enumerate(STACK):
        tifffile.imwrite(tmp_path / "scan" / f"z{z}.ome.tif", plane, metadata={"axes": "YX"})
    assert np.array_equal(read(tmp_path / "scan")[1][0], STACK)


@pytest.mark.parametrize("header", [b"", struct.pack("<2sHIHI", b"II", 42, 8, 0, 0)])
def test_a_tiff_without_pages(tmp_path, header):
    (tmp_path / "a.tif").write_bytes(header or struct.pack("<2sHI", b"II", 42, 0))
    with pytest.raises(InputError, match="holds no image: it is a TIFF without pages"):
        open_pixels(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_alpha_is_no_channel(tmp_path, kind, compression, planar):
    pixels = RGBA if planar == "contig" else np.moveaxis(RGBA, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=[kind], planarconfig=planar, compression=compression
    )
    volume, voxels = read(tmp_path / "a.tif")
    assert volume.channels == ("red", "green", "blue")
    assert np.array_equal(voxels[:, 0], np.moveaxis(RGBA, -1, 0)[:3])


@pytest.mark.parametrize(
    ("pixels", "options", "names", "kept"),
    [
        (RGBA[..., [0, 3]], {"photometric": "minisblack", "extrasamples": [2]}, ("0",), [0]),
        (RGBA[..., [0, 3]], {"photometric": "minisblack", "extrasamples": [0]}, ("0", "1"), [0, 1]),
        (RGBA, {"photometric": "rgb", "extrasamples": [0]}, ("red", "green", "blue", "extra 3"), [0, 1, 2, 3]),
        (
            RGBA[..., [0, 1, 2, 3, 0]],
            {"photometric": "rgb", "extrasamples": [2, 0]},
            ("red", "green", "blue", "extra 4"),
            [0, 1, 2, 4],
        ),
        (RGBA, {"photometric": "separated"}, ("cyan", "magenta", "yellow", "black"), [0, 1, 2, 3]),
    ],
)
def test_samples_are_named_by_what_the_file_says(tmp_path, pixels, options, names, kept):
    tifffile.imwrite(tmp_path / "a.tif", pixels, planarconfig="contig", **options)
    volume, voxels = read(tmp_path / "a.tif")
    assert volume.channels == names
    assert np.array_equal(voxels[:, 0], np.moveaxis(pixels, -1, 0)[kept])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("samples", [3, 4])
def test_channels_of_colours_have_both_names(tmp_path, samples, compression):
    pixels = np.stack([np.stack([STACK, STACK + 1, STACK + 2, STACK * 0][:samples], -1)] * 2, 1)
    pixels = (pixels + np.arange(2)[:, None, None, None]).astype(np.uint8)
    about = {"axes": "ZCYXS", "Channel": {"Name": ["HE", "IHC"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, photometric="rgb", metadata=about, compression=compression)
    volume, voxels = read(tmp_path / "a.ome.tif")
    assert volume.channels == ("HE red", "HE green", "HE blue", "IHC red", "IHC green", "IHC blue")
    assert np.array_equal(voxels, pixels[..., :3].transpose(1, 4, 0, 2, 3).reshape(6, 4, 32, 40))


@pytest.mark.parametrize("kind", ["ome", "rgb", "pages"])
def test_levels_of_a_pyramid_are_no_images_of_their_own(tmp_path, kind):
    options = {"photometric": "rgb" if kind == "rgb" else "minisblack", "tile": (16, 16)}
    stack = {"ome": STACK, "rgb": RGBA[..., :3], "pages": STACK[0]}[kind]
    about = {"axes": {"ome": "ZYX", "rgb": "YXS", "pages": "YX"}[kind]}
    fine = (slice(None),) * (kind == "ome")
    with tifffile.TiffWriter(tmp_path / "a.tif", ome=kind == "ome") as tif:
        tif.write(stack, subifds=None if kind == "pages" else 2, metadata=about, **options)
        for step in (2, 4):
            tif.write(stack[(*fine, slice(None, None, step), slice(None, None, step))], subfiletype=1, **options)
    volume, voxels = read(tmp_path / "a.tif")
    assert volume.extent == (4 if kind == "ome" else 1, 32, 40)
    assert np.array_equal(voxels.squeeze(), np.moveaxis(stack, -1, 0) if kind == "rgb" else stack)


@pytest.mark.parametrize("dtype", ["f2", "i1", "u1", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("options", [{"bigtiff": True, "tile": (16, 16)}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_numbers_of_any_kind(tmp_path, dtype, options):
    stack = (STACK.astype("i4") - 120).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", metadata={"axes": "ZYX"}, **options)
    image = open_image(convert(tmp_path / "a.tif", tmp_path / "o.zarr"))
    assert image.dtype == np.dtype(dtype)
    assert np.array_equal(image.read(Box.of(image.extent))[0], stack)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_hyperstack_beyond_the_four_gigabytes_of_tiff(tmp_path, byteorder):
    planes, side, path = 2100, 1024, tmp_path / "a.tif"
    said = f"ImageJ=1.54f\nimages={planes}\nslices={planes}\nhyperstack=true\nunit=um\nspacing=2\nloop=false\n"
    first = np.ones((1, side, side), np.uint16)
    tifffile.imwrite(
        path, first, description=said, metadata=None, photometric="minisblack", byteorder=byteorder, resolution=(2, 2)
    )
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    with path.open("r+b") as file:  # the rest is holes
        file.truncate(start + planes * first.nbytes)
        file.seek(start + (planes - 1) * first.nbytes)
        file.write(np.full(side * side, 7, f"{byteorder}u2").tobytes())
    (volume,) = open_pixels(path)
    assert (volume.extent, volume.spacing) == ((planes, side, side), Spacing(2.0, 0.5, 0.5))
    assert [int(volume.read(Box((z, 5, 5), (z + 1, 6, 6))).item()) for z in (0, 1, planes - 1)] == [1, 0, 7]
    with path.open("r+b") as file:
        file.truncate(start + planes * first.nbytes - 1)
    with pytest.raises(InputError):
        open_pixels(path)


def test_previews_of_a_zeiss_file_are_no_image(tmp_path):
    info = np.zeros(1, np.dtype(tifffile.TIFF.CZ_LSMINFO))
    info["MagicNumber"], info["StructureSize"] = 67127628, info.dtype.itemsize
    info["DimensionX"], info["DimensionY"], info["DimensionZ"] = 40, 32, 4
    info["DimensionChannels"] = info["DimensionTime"] = 1
    info["VoxelSizeX"] = info["VoxelSizeY"] = 5e-7
    info["VoxelSizeZ"] = 2e-6
    options = {"metadata": None, "photometric": "minisblack", "contiguous": False, "software": False}
    with tifffile.TiffWriter(tmp_path / "a.lsm", byteorder="<") as tif:
        for number, plane in enumerate(STACK):
            tags = [(34412, 1, info.nbytes, info.tobytes(), True)] if number == 0 else []
            tif.write(plane, extratags=tags, **options)
            tif.write(plane[::4, ::4].astype(np.uint8), subfiletype=1, **options)
    volume, voxels = read(tmp_path / "a.lsm")
    assert volume.spacing == Spacing(2.0, 0.5, 0.5)
    assert np.array_equal(voxels[0], STACK)
    assert open_pixels(tmp_path / "a.lsm", series=1)[0].extent == (4, 8, 10)


def write_micro_manager(path, *, slices=4, pixel=0.5):
    """The layout of Micro-Manager 1.4: a summary before the pages, a tag in each, an index of them at the end."""
    about = {
        "MicroManagerVersion": "1.4.22", "Frames": 1, "Slices": slices, "Channels": 1, "Positions": 1,
        "PixelSize_um": pixel, "z-step_um": 2.0,
    }  # fmt: skip
    summary, said = json.dumps(about).encode(), b'{"PixelSizeUm": 0.5}\0'
    content = bytearray(40) + summary + bytes(-len(summary) % 8)
    starts = []
    for number, plane in enumerate(STACK):
        at, data = len(content), plane.astype("<u2").tobytes()
        size = 162 + len(data) + len(said)
        size += -size % 8
        pixels, text = at + 162, at + 162 + len(data)
        tags = [
            (254, 4, 1, 0), (256, 4, 1, 40), (257, 4, 1, 32), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, pixels), (277, 3, 1, 1), (278, 3, 1, 32), (279, 4, 1, len(data)), (282, 4, 1, 1),
            (283, 4, 1, 1), (51123, 2, len(said), text),
        ]  # fmt: skip
        entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
        following = at + size if number + 1 < len(STACK) else 0
        page = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following) + data + said
        starts.append(at)
        content += page + bytes(size - len(page))
    index = b"".join(struct.pack("<5I", 0, k, 0, 0, at) for k, at in enumerate(starts))
    head = struct.pack("<2sHI", b"II", 42, starts[0]) + struct.pack("<2I", 54773648, len(content))
    content[:40] = head + struct.pack("<6I", 483765892, 0, 99384722, 0, 2355492, len(summary))
    path.write_bytes(content + struct.pack("<2I", 3453623, len(starts)) + index)
    return path


@pytest.mark.parametrize("options", [{}, {"pixel": 0.0}, {"slices": 6}])
def test_a_stack_of_micro_manager(tmp_path, options):
    volume, voxels = read(write_micro_manager(tmp_path / "MMStack_Pos0.ome.tif", **options))
    assert volume.spacing == Spacing(2.0, 0.5, 0.5)
    assert np.array_equal(voxels[0], STACK)


def test_a_stack_of_micro_manager_that_was_cut_short(tmp_path):
    path = write_micro_manager(tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(InputError):
        open_pixels(path)
