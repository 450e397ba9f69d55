"""The published models that can be asked for by name: where they lie, what they weigh, on what terms."""

from __future__ import annotations

from dataclasses import dataclass

_SITE = "https://www.cellpose.org/models/"
_HUB = "https://huggingface.co/mouseland/cellpose-sam/resolve/main/"
LICENCE = (
    "non-commercial use: learned from images under CC BY-NC (the weights themselves are published as BSD-3-Clause)"
)
DINO_LICENCE = (
    "non-commercial use: learned from images under CC BY-NC; cpdino and cpdino-vitb began as Meta's DINOv3, so the "
    "DINOv3 License binds their users too: pass it on with the weights, name DINOv3 in publications "
    "(https://github.com/facebookresearch/dinov3/blob/main/LICENSE.md)"
)


@dataclass(frozen=True)
class RemoteFile:
    """A file to download: `sha256` and `size` in bytes where they are known, else "" and 0.

    A hash stands here only if several repositories of users of the file publish the same one; the others are
    recorded when the file is first fetched, and held to ever after.
    """

    name: str
    url: str
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class Entry:
    """A published model. `size_model` estimates the diameter from the style; `diameter` is what it was trained at."""

    name: str
    kind: str
    about: str
    weights: RemoteFile
    size_model: RemoteFile | None = None
    diameter: float = 30.0
    licence: str = LICENCE

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """All that `bigcell models fetch` brings."""
        return (self.weights,) if self.size_model is None else (self.weights, self.size_model)


def _at_site(name: str, sha256: str = "", size: int = 0) -> RemoteFile:
    return RemoteFile(name, _SITE + name, sha256, size)


def _at_hub(name: str, sha256: str, size: int) -> RemoteFile:
    return RemoteFile(name, _HUB + name, sha256, size)


def _single(name: str, about: str) -> Entry:
    """A CPnet without a size model, in a file of its own name."""
    return Entry(name, "CPnet", about, _at_site(name))


_ENTRIES = (
    Entry(
        "cpsam",
        "Cellpose-SAM",
        "cells and nuclei of any kind (Cellpose 4)",
        _at_hub("cpsam", "e1440429eb384f95afe32bcba6510f90d518eaedc917ede549bed6804004abe2", 1_233_587_898),
    ),
    Entry(
        "cpsam_v2",
        "Cellpose-SAM",
        "its successor (default of Cellpose 4.2)",
        _at_hub("cpsam_v2", "0f1cc3f7ecdd8a037a57c6c48d9d8921391be4cbce3fa9f13c3e3a2e1253c667", 1_233_586_851),
    ),
    Entry(
        "cpdino",
        "Cellpose-DINO",
        "cells and nuclei of any kind, on DINOv3 ViT-L (Cellpose 4.2)",
        _at_hub("cpdino", "fad0dda262554922da1c5ab0e0004b00c1b14b8a48bea6781b89222567577573", 1_213_987_717),
        licence=DINO_LICENCE,
    ),
    Entry(
        "cpdino-vitb",
        "Cellpose-DINO",
        "as cpdino, smaller and faster (ViT-B)",
        _at_hub("cpdino-vitb", "3ed4c06a3963ab13ff377d4e2957174aaaf637434eb031ae9931fcbfaf9a217f", 343_599_997),
        licence=DINO_LICENCE,
    ),
    Entry(
        "cyto3",
        "CPnet",
        "cells of nine data sets (Cellpose 3)",
        _at_site("cyto3", "2dc3087a8abd7da46d1ab0ddd5824639933cc3ff63b382af3fa1939a392db93c", 26_566_255),
        _at_site("size_cyto3.npy"),
    ),
    Entry(
        "cyto2",
        "CPnet",
        "cells, with images of users (Cellpose 2)",
        _at_site("cyto2torch_0"),
        _at_site("size_cyto2torch_0.npy"),
    ),
    Entry(
        "cyto_cp1",
        "CPnet",
        "cells (`cyto` of Cellpose 1)",
        _at_site("cytotorch_0", "6a852487b98a3ad91e4e86c969cac520aaac13c609288aad8bd01d4cf76370c6", 26_563_614),
        _at_site("size_cytotorch_0.npy"),
    ),
    Entry(
        "nuclei_cp1",
        "CPnet",
        "nuclei (`nuclei` of Cellpose 1)",
        _at_site("nucleitorch_0", "89ca45e4a45048d5010d29621466b1274b91b3dcb9714dce9f9e90a9a8671303", 26_563_614),
        _at_site("size_nucleitorch_0.npy"),
        diameter=17.0,
    ),
    _single("cyto2_cp3", "as cyto2, trained with the recipe of Cellpose 3"),
    _single("tissuenet_cp3", "tissue, membrane and nuclei (TissueNet)"),
    _single("livecell_cp3", "cell lines in phase contrast (LIVECell)"),
    _single("yeast_PhC_cp3", "yeast in phase contrast (YeaZ)"),
    _single("yeast_BF_cp3", "yeast in bright field (YeaZ)"),
    _single("bact_phase_cp3", "bacteria in phase contrast (Omnipose's data)"),
    _single("bact_fluor_cp3", "bacteria in fluorescence (Omnipose's data)"),
    _single("deepbacs_cp3", "bacteria of several kinds (DeepBacs)"),
    _single("neurips_cellpose_default", "images of the NeurIPS 2022 challenge"),
    _single("neurips_grayscale_cyto2", "grey images of the NeurIPS 2022 challenge and of cyto2"),
    _single("CP", "cells (Cellpose 2's model zoo)"),
    _single("CPx", "cells, with images of users (Cellpose 2's model zoo)"),
    *(_single(f"TN{i}", "tissue (Cellpose 2's model zoo)") for i in (1, 2, 3)),
    *(_single(f"LC{i}", "cell lines in phase contrast (Cellpose 2's model zoo)") for i in (1, 2, 3, 4)),
)
CATALOGUE = {entry.name: entry for entry in _ENTRIES}


def diameter_of_file(name: str) -> float | None:
    """The diameter that the published weights in a file of this name were trained at, or None for any other name.

    >>> diameter_of_file("nucleitorch_0"), diameter_of_file("mine.pt")
    (17.0, None)
    """
    return next((entry.diameter for entry in _ENTRIES if entry.weights.name == name), None)
