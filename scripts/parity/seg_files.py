"""Make tests/io/fixtures/NAME_seg.npy with Cellpose's own function. Run it with the Python of each release:

python scripts/parity/seg_files.py cellpose3
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main() -> None:
    from cellpose import io

    masks = np.zeros((24, 32), np.uint16)
    masks[2:10, 3:12], masks[10:20, 3:12], masks[5:15, 20:30] = 1, 2, 3
    image = (masks * 50).astype(np.uint8)
    flows = [np.zeros((24, 32, 3), np.uint8), np.zeros((2, 24, 32), np.float32), np.zeros((24, 32), np.float32)]
    place = Path("tests/io/fixtures") / f"{sys.argv[1]}.png"
    io.masks_flows_to_seg(image, masks, flows, str(place))
    print(place.with_name(f"{place.stem}_seg.npy"))


if __name__ == "__main__":
    main()
