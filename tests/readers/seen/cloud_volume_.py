"""cloud-volume, which gives voxels as x, y, z, channel, and sizes in nanometers."""

import numpy as np
from cloudvolume import CloudVolume
from telling import Facts, digest, tell


def look(place: str) -> Facts:
    version = "zarr2" if "/0.4/" in place else "zarr3"
    levels = [CloudVolume(f"{version}://file://{place}", mip=mip, progress=False, fill_missing=True) for mip in (0, 1)]
    several = levels[0].num_channels > 1
    return {
        "axes": "czyx" if several else "zyx",
        "scale": [dict(zip("xyz", np.divide(level.resolution, 1000).tolist(), strict=True)) for level in levels],
        "units": dict.fromkeys("zyx", "micrometer"),
        "channels": None,
        "dtype": str(np.dtype(levels[0].dtype)),
        "voxels": [digest(_turned(np.asarray(level[:]), several=several)) for level in levels],
    }


def _turned(voxels: np.ndarray, *, several: bool) -> np.ndarray:
    return voxels.T if several else voxels[..., 0].T


if __name__ == "__main__":
    tell(look)
