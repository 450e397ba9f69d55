"""Every argument of Cellpose 2, 3 and 4 that goes by another name here, and what to write instead.

A word in braces is an option of ours, which is spelled as whoever asks has to write it.
tests/core/test_unknown_options.py holds this against the names in the released packages.
"""

from __future__ import annotations

_LEAVE = "leave it out: "
_BUILT = _LEAVE + "{model} says itself how its network is built"
_GPU = _LEAVE + "a GPU is taken where there is one (CUDA_VISIBLE_DEVICES says which, and '' for none)"
_MODEL = "{model}, a name of `bigcell models list` or the path of a checkpoint"
_IMAGE = "the image is the first argument, an OME-Zarr (`bigcell convert` makes one) or, in Python, an array"
_FILES = _IMAGE + "; call it once for each"
_ALWAYS = _LEAVE + "it is always so here: flows are followed at the image's own resolution and are interpolated"
_ZARR = _LEAVE + "labels are always written as OME-Zarr, with a table of objects, which other programs read"
_OUTPUT = "{output}, the store for the labels, and {labels}, their name"
_AXES = "axes=, as in 'zyxc', of arrays in Python; of files `bigcell convert --axes`; an OME-Zarr names its own"
_CHANNELS = "{channels}: what to segment, then the nuclei if there are any, by name or by number from 0, or 'grey'"
_RESTORE = _LEAVE + "images are not restored here; restore them before"
_TRAIN = "`bigcell train DATA --out MODEL`, or bigcell.train"
_OTHER = _LEAVE + "nothing here needs it"

SEGMENT = {
    "x": _IMAGE,
    "dir": _FILES,
    "image_path": _IMAGE,
    "look_one_level_down": _FILES,
    "img_filter": _FILES,
    "in_folders": _OUTPUT,
    "dir_above": _OUTPUT,
    "savedir": _OUTPUT,
    "output_name": _OUTPUT,
    "Zstack": _LEAVE + "axis z of the image says that it is a stack; {do_3D} and {stitch_threshold} say how it is done",
    "file_list": _FILES,
    "gpu": _GPU,
    "use_gpu": _GPU,
    "gpu_device": _GPU,
    "device": _GPU,
    "check_mkl": _OTHER,
    "mkldnn": _OTHER,
    "verbose": _OTHER,
    "pretrained_model": _MODEL,
    "model_type": _MODEL,
    "add_model": _MODEL,
    "pretrained_model_ortho": "{model_ortho}, " + _MODEL.partition(", ")[2],
    "pretrained_size": "{diameter} 'auto'",
    "cp_model": _MODEL,
    "net_avg": _LEAVE + "one network is run, the one that {model} names",
    "fast_mode": _LEAVE + "one network is run, the one that {model} names",
    "diam_mean": _LEAVE + "{model} says itself at what diameter it was trained; {diameter} is that of the cells",
    "rescale": "{diameter}, that of the cells in voxels: the image is scaled by that of the model over it",
    "residual_on": _BUILT,
    "style_on": _BUILT,
    "concatenation": _BUILT,
    "nchan": _BUILT,
    "backbone": _BUILT,
    "transformer": _BUILT,
    "unet": _BUILT,
    "nclasses": _BUILT,
    "use_bfloat16": "{precision} 'bfloat16' or 'float32'",
    "batch_size": "{batch}, tiles that the network sees at once",
    "bsize": "{tile}, the side of the network's tiles in pixels",
    "chan": _CHANNELS + " (Cellpose's 1 is 0 here, and its 0 is 'grey')",
    "chan2": _CHANNELS + " (Cellpose's 1 is 0 here, and its 0 is none)",
    "all_channels": _LEAVE + "all channels are taken, unless {channels} says which",
    "channel_axis": _AXES,
    "z_axis": _AXES,
    "no_norm": "{normalize} False",
    "norm_percentile": "{percentile}",
    "restore_type": _RESTORE,
    "chan2_restore": _RESTORE,
    "resample": _ALWAYS,
    "no_resample": _ALWAYS,
    "interp": _ALWAYS,
    "no_interp": _ALWAYS,
    "compute_masks": "{keep_flows}, a new OME-Zarr for the flows, from which `bigcell masks` makes labels",
    "max_size_fraction": "{max_size}, in voxels and not as a part of the image",
    "exclude_on_edges": _LEAVE + "column touches_border of the table of objects says which cells to leave out",
    "progress": _LEAVE + "the command line shows it, and a listener= of bigcell.segment hears of it",
    "loop_run": _OTHER,
    "model_loaded": _OTHER,
    "save_png": "`bigcell segment --picture FILE.png`, or bigcell.view",
    "save_mpl": "`bigcell segment --picture FILE.png`, or bigcell.view",
    "save_tif": _ZARR,
    "save_outlines": _ZARR,
    "save_rois": _ZARR,
    "save_ncolor": _ZARR,
    "save_txt": _ZARR,
    "no_npy": _ZARR,
    "save_flows": "{keep_flows}, a new OME-Zarr for the flows",
    "train": _TRAIN,
}
"""Of segmenting, and of all verbs but training."""

_PAGE = "(docs/howto/training.md)"
_DATA = f"the first argument, DATA: a folder of images with their labels, an OME-Zarr, or a TOML file {_PAGE}"
_NAMES = _DATA + "; labels are found by the ends of their names"
_FILE = "a TOML file as DATA, which names the {} " + _PAGE
_VALIDATION = f"a TOML file as DATA, which says what is for validation and how much of each source {_PAGE}"
_SIZE = _LEAVE + "`bigcell segment --diameter auto` needs no model of sizes"
_CROPS = _LEAVE + "crops of DATA are drawn anew in every epoch, scaled to {diameter}"

TRAIN = {
    **{name: SEGMENT[name] for name in ("gpu", "use_gpu", "gpu_device", "device", "check_mkl", "mkldnn", "verbose")},
    "train": _LEAVE + "this is `bigcell train`",
    "net": _MODEL,
    "pretrained_model": _MODEL,
    "model_type": _MODEL,
    "add_model": _MODEL,
    "dir": _DATA,
    "image_path": _DATA,
    "look_one_level_down": _DATA,
    "img_filter": _NAMES,
    "mask_filter": _NAMES,
    "file_list": _DATA,
    "load_files": _LEAVE + "images are always read when they are drawn from",
    "train_data": _DATA,
    "train_labels": _DATA,
    "train_files": _DATA,
    "train_labels_files": _DATA,
    "train_probs": _DATA + "; a TOML file gives each source a weight",
    "test_dir": _VALIDATION,
    "test_data": _VALIDATION,
    "test_labels": _VALIDATION,
    "test_files": _VALIDATION,
    "test_labels_files": _VALIDATION,
    "test_probs": _VALIDATION,
    "nimg_test_per_epoch": _VALIDATION,
    "batch_size": "{batch}, crops of a step",
    "train_batch_size": "{batch}, crops of a step",
    "learning_rate": "{rate}",
    "n_epochs": "{epochs}",
    "nimg_per_epoch": "{epoch}, crops of an epoch",
    "SGD": "{optimizer} 'sgd' where it is on, and nothing where it is off or Cellpose is 4, which has AdamW alone",
    **{name: "{" + name + "}" for name in ("weight_decay", "save_every")},
    "bsize": "{crop}, the side of crops in pixels",
    "diam_mean": "{diameter}, to which cells are scaled",
    "nchan": "{channels}, of a network from scratch",
    "save_path": "{out}, a new folder for the model",
    "model_name": "{out}, a new folder for the model",
    "model_name_out": "{out}, a new folder for the model",
    "save_each": _LEAVE + "the best model is kept; {save_every} is how often a training that stops can go on",
    "min_train_masks": _LEAVE + "an image without a cell is refused, unless a TOML file as DATA says empty = true",
    **dict.fromkeys(("chan", "chan2", "rgb", "all_channels"), _FILE.format("channels to learn from")),
    **dict.fromkeys(("channel_axis", "z_axis"), _FILE.format("axes of files")),
    **dict.fromkeys(("normalize", "no_norm", "norm_percentile"), _LEAVE + "each image is scaled by its percentiles"),
    "invert": f"a TOML file as DATA, in which a source is invertible {_PAGE}",
    "compute_flows": _LEAVE + "flows are always made of the labels",
    "rescale": _CROPS,
    "scale_range": _CROPS,
    "class_weights": _LEAVE + "there are no classes but cells and background",
    **dict.fromkeys(
        ("residual_on", "style_on", "concatenation", "backbone", "transformer", "unet", "nclasses"),
        _LEAVE + "a network from scratch is a CPnet of Cellpose 1 to 3; {width} are its features",
    ),
    "l2_regularization": _SIZE,
    "train_size": _SIZE,
}
"""Of training."""
