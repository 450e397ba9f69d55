"""Label stores: the same voxels for every reader, valid for both versions, aligned with the image."""

from __future__ import annotations

import pickle
import warnings
from itertools import product

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import open_ome_zarr

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.label_store import LabelForm, create_labels, discard_labels, reopen_labels
from bigcell.io.labels.publish import publish
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.layout import grid_of
from bigcell.io.ngff.pyramid import reduce_labels


def fill(store, labels):
    """Write `labels` and their pyramid shard by shard, in an unnatural order; the levels as written."""
    pyramid = [labels]
    for level in store.levels[1:]:
        pyramid.append(reduce_labels(pyramid[-1], level.factor))
    for number, (level, values) in enumerate(zip(store.levels, pyramid, strict=True)):
        assert values.shape == level.extent
        for box in reversed(list(Box.of(level.extent).split(level.shard))):
            store.write(number, box, values[box.slices])
    return pyramid


def some_labels(extent, dtype=np.uint32):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 4, extent).astype(dtype)
    labels[: extent[0] // 2, : extent[1] // 2] = 0
    labels[-1, -1, -1] = np.iinfo(dtype).max
    return labels


def labelled(path, *, name="cells", store=None, overwrite=False, shard=(8, 8, 8), dtype=np.uint32, **choice):
    """Labels of the image at `path`, published in `store` (the image's own): their path and their pyramid."""
    image = open_image(path, **choice)
    target = check_target(store or path, name, image=image, overwrite=overwrite)
    made = create_labels(target, LabelForm(image.extent, image.spacing, image, dtype, chunk=(4, 4, 4), shard=shard))
    pyramid = fill(made, some_labels(image.extent, dtype))
    return publish(made, attributes={"bigcell": {"made": "here"}}, files={}), pyramid


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize("axes", ["zyx", "czyx", "tczyx", "yx", "cyx", "yxz", "zyxc", "xcyz"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_every_reader_sees_the_labels_that_were_written(make_store, version, axes, dtype):
    path, _ = make_store(axes, version=version)
    time = 1 if "t" in axes else 0
    final, pyramid = labelled(path, dtype=dtype, time=time)
    kept = axes.replace("c", "")
    for level, values in enumerate(pyramid):
        stored = da.from_zarr(str(final), component=str(level)).compute()
        assert stored.dtype == dtype
        assert np.array_equal(stored, zarr.open_array(final / str(level), mode="r")[:])
        if "t" in kept:
            assert stored.shape[0] == 2
            assert not stored[0].any()
            stored = stored[1]
        space = kept.replace("t", "")
        order = [space.index(a) for a in "zyx" if a in space]
        assert np.array_equal(stored.transpose(order).reshape(values.shape), values)
        volume = open_image(final, level=level, time=time)
        assert np.array_equal(volume.read(Box.of(volume.extent))[0], values)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yx", "czyx", "tczyx"])
def test_image_with_labels_stays_valid(make_store, version, axes):
    path, _ = make_store(axes, version=version, levels=3)
    final, _ = labelled(path)
    labelled(path, name="coarse", level=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = open_ome_zarr(path, version=version)
        label = open_ome_zarr(final, version=version)
    assert type(image).__name__ == "Image"
    assert type(label).__name__ == "ImageLabel"
    assert image.labels is not None
    assert read_info(path).labels == ("cells", "coarse")
    attributes = zarr.open_group(final, mode="r").attrs.asdict()
    about = attributes.get("ome", attributes)["image-label"]
    assert about == {"version": version, "source": {"image": "../../"}}
    assert attributes["bigcell"] == {"made": "here"}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_napari_finds_image_and_labels(make_store, version):
    path, _ = make_store("czyx", version=version)
    final, pyramid = labelled(path)
    nodes = {node.zarr.basename(): node for node in Reader(parse_url(str(path)))()}
    assert set(nodes) == {"image.zarr", "labels", "cells"}
    assert np.array_equal(nodes["cells"].data[0].compute(), pyramid[0])
    assert any(node.data for node in Reader(parse_url(str(final)))())


def test_levels_scales_and_units_follow_the_image(make_store):
    path, _ = make_store("czyx", levels=3, translation={"z": 7.0, "y": 1.0}, unit="nanometer")
    image, label = read_info(path), read_info(labelled(path)[0])
    assert label.axes == ("z", "y", "x")
    assert label.units == ("nanometer",) * 3
    assert [lv.scale for lv in label.levels] == [lv.scale[1:] for lv in image.levels]
    assert [lv.translation for lv in label.levels] == [lv.translation[1:] for lv in image.levels]


def test_a_region_and_a_coarser_level_keep_their_place(make_store):
    path, _ = make_store("czyx", levels=3)
    final, _ = labelled(path, level=1, region=Box((1, 2, 2), (4, 6, 7)))
    levels = read_info(final).levels
    assert len(levels) == 3  # as many as the image: OME-Zarr 0.5 demands it
    assert [lv.shape for lv in levels] == [(3, 4, 5), (3, 2, 3), (3, 1, 2)]
    assert [lv.scale for lv in levels] == [(2, 1, 0.5), (2, 2, 1), (2, 4, 2)]
    assert {lv.translation for lv in levels} == {(2.0, 2.0, 1.0)}


def test_centred_pyramids_stay_centred(make_store):
    def edit(attributes):
        for k, entry in enumerate(attributes["ome"]["multiscales"][0]["datasets"]):
            half = (2**k - 1) / 2
            entry["coordinateTransformations"].append(
                {"type": "translation", "translation": [0, half * 0.5, half * 0.25]}
            )

    path, _ = make_store("zyx", levels=2, edit=edit)
    final, _ = labelled(path, level=1)
    assert [lv.translation for lv in read_info(final).levels] == [(0, 0.25, 0.125), (0, 0.75, 0.375)]


def test_odd_image_levels_become_whole_steps(make_store):
    def edit(attributes):
        entry = attributes["ome"]["multiscales"][0]["datasets"][1]
        entry["coordinateTransformations"] = [{"type": "scale", "scale": [2.0, 1.1, 0.55]}]

    final, pyramid = labelled(make_store("zyx", edit=edit)[0])
    assert pyramid[1].shape == (5, 6, 7)
    assert read_info(final).levels[1].scale == (2.0, 1.0, 0.5)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_background_takes_no_files(make_store, version):
    path, _ = make_store("zyx", version=version, levels=1)
    image = open_image(path)
    store = create_labels(
        check_target(path, "none", image=image, overwrite=False),
        LabelForm(image.extent, image.spacing, image, np.uint32, chunk=(4, 4, 4), shard=(8, 8, 8)),
    )  # fmt: skip
    fill(store, np.zeros(image.extent, np.uint32))
    final = publish(store, attributes={}, files={})
    assert {p.name for p in (final / "0").rglob("*") if p.is_file()} <= {"zarr.json", ".zarray", ".zattrs"}
    assert not open_image(final).read(Box.of(image.extent)).any()


def test_codec_shards_and_names_on_disk(make_store):
    array = zarr.open_array(labelled(make_store("czyx")[0])[0] / "0", mode="r")
    assert (array.chunks, array.shards) == ((4, 4, 4), (8, 8, 8))
    assert array.metadata.dimension_names == ("z", "y", "x")
    assert [c.to_dict()["name"] for c in array.compressors] == ["zstd"]
    old = zarr.open_array(labelled(make_store("czyx", version="0.4", name="old.zarr")[0])[0] / "0", mode="r")
    assert (old.chunks, old.shards, old.metadata.dimension_separator) == ((4, 4, 4), None, "/")
    assert old.metadata.compressor.codec_id == "zstd"


# --- a store of their own ---


@pytest.mark.parametrize("extent", [(9, 20, 21), (1, 20, 21)])
def test_a_store_of_their_own_opens_wherever_one_points(tmp_path, extent):
    target = check_target(tmp_path / "out.zarr", "cells", image=None, overwrite=False)
    store = create_labels(target, LabelForm(extent, Spacing(2, 0.5, 0.5), None, np.uint64))
    pyramid = fill(store, some_labels(extent, np.uint64))
    final = publish(store, attributes={}, files={})
    assert final == tmp_path / "out.zarr" / "labels" / "cells"
    for path in (tmp_path / "out.zarr", final):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert type(open_ome_zarr(path)).__name__ == "ImageLabel"
        volume = open_image(path)
        assert volume.extent == extent
        assert volume.spacing == Spacing(2 if extent[0] > 1 else 1, 0.5, 0.5)
        assert np.array_equal(volume.read(Box.of(extent))[0], pyramid[0])
        assert any(node.data for node in Reader(parse_url(str(path)))())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type(open_ome_zarr(tmp_path / "out.zarr" / "labels")).__name__ == "Labels"


def test_labels_elsewhere_name_their_image(make_store, tmp_path):
    path, _ = make_store("czyx", version="0.4")
    final, _ = labelled(path, store=tmp_path / "out.zarr")
    ome = zarr.open_group(final, mode="r").attrs["ome"]
    assert (final / ome["image-label"]["source"]["image"]).resolve() == path
    other, _ = labelled(path, store=tmp_path / "out.zarr", name="other")
    assert zarr.open_group(other.parent, mode="r").attrs["ome"] == {"version": "0.5", "labels": ["cells", "other"]}
    open_ome_zarr(tmp_path / "out.zarr", version="0.5")


def test_large_labels_without_image_have_coarser_levels(tmp_path):
    target = check_target(tmp_path / "out.zarr", "cells", image=None, overwrite=False)
    store = create_labels(target, LabelForm((4, 300, 700), Spacing(), None, np.uint32))
    assert [lv.extent for lv in store.levels] == [(4, 300, 700), (2, 150, 350), (1, 75, 175)]
    assert store.levels[0].shard == (4, 256, 256)


# --- writing ---


@pytest.fixture
def building(make_store):
    image = open_image(make_store("zyx")[0])
    target = check_target(image.info.source, "cells", image=image, overwrite=False)
    options = {
        "extent": image.extent, "spacing": image.spacing, "image": image, "dtype": np.uint32,
        "chunk": (2, 2, 2), "shard": (4, 4, 4),
    }  # fmt: skip
    return target, options


def test_only_whole_shards_may_be_written(building):
    target, options = building
    store = create_labels(target, LabelForm(**options))
    assert (store.levels[0].extent, store.levels[0].shard) == ((5, 12, 14), (4, 4, 4))
    for box in [
        Box((0, 0, 0), (2, 4, 4)), Box((2, 0, 0), (4, 4, 4)), Box((4, 8, 12), (8, 12, 16)), Box((0, 0, 0), (0, 4, 4)),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match="is not whole shards"):
            store.write(0, box, np.zeros(box.shape, np.uint32))
    box = Box((4, 8, 12), (5, 12, 14))
    store.write(0, box, np.full(box.shape, 3, np.uint32))
    store.write(0, Box((0, 0, 0), (4, 8, 14)), np.full((4, 8, 14), 4, np.uint32))
    assert store.read(0, Box((3, 7, 11), (5, 9, 13))).tolist() == [[[4, 4], [0, 0]], [[0, 0], [0, 3]]]
    for values in (np.zeros((1, 4, 3), np.uint32), np.zeros(box.shape, np.uint64)):
        with pytest.raises(ValueError, match="wanted uint32"):
            store.write(0, box, values)
    with pytest.raises(ValueError, match="outside"):
        store.read(0, Box((0, 0, 0), (6, 1, 1)))


def test_writing_twice_is_harmless_and_zeros_erase(building):
    target, options = building
    store = create_labels(target, LabelForm(**options))
    box = Box((0, 0, 0), (4, 4, 4))
    for value in (5, 5, 0):
        store.write(0, box, np.full(box.shape, value, np.uint32))
        assert (store.read(0, box) == value).all()


def test_nothing_has_the_final_name_before_it_is_whole(building):
    target, options = building
    store = create_labels(target, LabelForm(**options))
    store.write(0, Box.of((5, 12, 14)), np.ones((5, 12, 14), np.uint32))
    assert [p.name for p in target.labels.iterdir()] == [".cells.building"]
    open_ome_zarr(target.store, version="0.5")
    assert read_info(target.store).labels == ()
    discard_labels(store)
    assert not target.building.exists()


def test_a_new_start_forgets_and_a_resumed_one_keeps(building):
    target, options = building
    store = create_labels(target, LabelForm(**options))
    whole = Box.of((5, 12, 14))
    store.write(0, whole, np.ones(whole.shape, np.uint32))
    again = reopen_labels(target, LabelForm(**options))
    assert again == store
    assert again.read(0, whole).all()
    assert not create_labels(target, LabelForm(**options)).read(0, whole).any()
    discard_labels(store)
    with pytest.raises(OutputError, match="no labels being built"):
        reopen_labels(target, LabelForm(**options))


def test_stores_travel_between_processes(building):
    target, options = building
    store = create_labels(target, LabelForm(**options))
    again = pickle.loads(pickle.dumps(store))
    again.write(0, Box((0, 0, 0), (4, 4, 4)), np.ones((4, 4, 4), np.uint32))
    assert again == store
    assert store.read(0, Box((0, 0, 0), (1, 1, 1))).item() == 1


def test_wrong_requests(building):
    target, options = building
    with pytest.raises(ValueError, match="do not fit the image's"):
        create_labels(target, LabelForm(**{**options, "extent": (5, 12, 13)}))
    with pytest.raises(ValueError, match="wanted uint32 or uint64"):
        create_labels(target, LabelForm(**{**options, "dtype": np.int64}))


@settings(max_examples=200)
@given(data=st.data())
def test_shards_are_whole_chunks_and_reach_no_further_than_they_must(data):
    sizes = st.tuples(*[st.integers(1, 300)] * 3)
    extent, chunk, shard = data.draw(sizes), data.draw(sizes), data.draw(sizes)
    grid = grid_of(extent, chunk, shard)
    for n, c, s in zip(extent, grid.chunk, grid.shard, strict=True):
        assert c <= n
        assert s % c == 0
        assert s < n + c
    assert grid_of(extent, chunk, None).shard == grid.chunk


def test_many_writers_lose_nothing(building):
    from concurrent.futures import ThreadPoolExecutor

    target, options = building
    store = create_labels(target, LabelForm(**options))
    labels = some_labels((5, 12, 14))
    boxes = list(Box.of(labels.shape).split(store.levels[0].shard))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda box: store.write(0, box, labels[box.slices]), boxes))
    assert len(boxes) == len(list(product(range(2), range(3), range(4))))
    assert np.array_equal(store.read(0, Box.of(labels.shape)), labels)
