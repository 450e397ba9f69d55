#!/usr/bin/env bash
# itk-ioomezarrngff 0.3.0: `itk.imread` of an OME-Zarr of two channels gives voxels of the second that no file holds.
#
# The module reads one channel at a time and says so in a warning: "Data will be read from the first available channel by
# default". `SetChannelIndex` chooses another one.
#
# Expected: an image of that one channel, or an error.
# Seen:     an image as large as both channels, in which the first is right and the second is memory that nobody wrote:
#           zero where the memory is fresh, as here, and noise where it was used before.
# Matters:  whoever does not see the warning, which C++ prints, takes them for a channel.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check "itk-ioomezarrngff==0.3.0" "itk-io==5.4.7" "zarr==3.1.6"
cd "$folder"
cat > make.py <<'PY'
import numpy as np
import zarr

group = zarr.create_group("image.zarr", zarr_format=2)
image = np.random.default_rng(0).integers(1, 60000, (2, 16, 64, 64)).astype(np.uint16)
group.create_array("0", data=image, chunks=(1, 16, 64, 64), compressors=None, chunk_key_encoding={"name": "v2", "separator": "/"})
axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "zyx")]
steps = [{"type": "scale", "scale": [1.0, 2.0, 0.5, 0.25]}]
level = {"path": "0", "coordinateTransformations": steps}
group.attrs["multiscales"] = [{"version": "0.4", "name": "image", "axes": axes, "datasets": [level]}]
PY
cat > read.py <<'PY'
from importlib.metadata import version

import itk
import numpy as np
import zarr

stored = zarr.open_group("image.zarr", mode="r")["0"][...]
first = itk.array_from_image(itk.imread("image.zarr", imageio=itk.OMEZarrNGFFImageIO.New()))
print("itk-ioomezarrngff", version("itk-ioomezarrngff"), "itk-io", version("itk-io"))
print("stored:", stored.shape, "read:", first.shape)
assert first.shape == stored.shape, "this has changed: one channel is read as one"
assert (first[0] == stored[0]).all()
same = float((first[1] == stored[1]).mean())
print(f"of the second channel {same:.1%} of the voxels are those of the store; without a value: {float((first[1] == 0).mean()):.0%}")
assert same < 0.01, "this has changed: the second channel is read"
PY
"$folder/env/bin/python" make.py
"$folder/env/bin/python" read.py 2>&1 | grep -v "^$"
