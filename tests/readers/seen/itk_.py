"""ITK with its module OMEZarrNGFF, which reads one channel at a time: here they are put together."""

import itk
import numpy as np
from telling import Facts, digest, tell


def look(place: str) -> Facts:
    first = _read(place, 0)
    axes = "zyx" if first.GetImageDimension() == 3 else "czyx"
    images = [first, _read(place, 1)]
    voxels = [itk.array_from_image(image) for image in images]
    if axes == "czyx":
        voxels = [
            np.stack([_channel(place, level, c) for c in range(whole.shape[0])]) for level, whole in enumerate(voxels)
        ]
    return {
        "axes": axes,
        "scale": [dict(zip("xyz", map(float, image.GetSpacing()), strict=False)) for image in images],
        "units": None,
        "channels": None,
        "dtype": str(voxels[0].dtype),
        "voxels": [digest(level) for level in voxels],
    }


def _channel(place: str, level: int, channel: int) -> np.ndarray:
    voxels = np.asarray(itk.array_from_image(_read(place, level, channel)))
    return voxels[0] if voxels.ndim == 4 else voxels


def _read(place: str, level: int, channel: int | None = None) -> itk.Image:
    io = itk.OMEZarrNGFFImageIO.New()
    io.SetDatasetIndex(level)
    if channel is not None:
        io.SetChannelIndex(channel)
    return itk.imread(place, imageio=io)


if __name__ == "__main__":
    tell(look)
