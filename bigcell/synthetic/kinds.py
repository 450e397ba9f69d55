"""Four kinds of images that microscopists know, each a tissue and a look: to try things out, and to vary from."""

from __future__ import annotations

from typing import Literal, get_args

from bigcell.core.errors import SettingsError
from bigcell.synthetic.look import MEMBRANE, NUCLEAR, Backdrop, Camera, Look, Optics, PhaseContrast, Stain
from bigcell.synthetic.spindles import Spindles
from bigcell.synthetic.tissue import Tissue

Kind = Literal["nuclei", "cytoplasm", "membrane", "spindly"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_TISSUES: dict[Kind, Tissue | Spindles] = {
    "nuclei": Tissue(irregularity=0.4, filled=0.6, gap=0.03),
    "cytoplasm": Tissue(),
    "membrane": Tissue(irregularity=0.6),
    "spindly": Spindles(),
}
_LOOKS: dict[Kind, Look] = {
    "nuclei": Look(NUCLEAR, None, Optics(haze=0.15, cone=0.2), backdrop=Backdrop(debris=0.1, debris_level=0.2)),
    "cytoplasm": Look(),
    "membrane": Look(MEMBRANE),
    "spindly": Look(
        Stain(body=380.0, rim=220.0, rim_width=0.05, nucleus=0.55, texture=0.3),
        None,
        backdrop=Backdrop(level=1200.0, uneven=0.05, debris=0.2, debris_size=0.1),
        camera=Camera(noise=0.5),
        phase=PhaseContrast(halo=1.2, width=0.18),
    ),
}


def tissue_of(kind: Kind) -> Tissue | Spindles:
    """How cells of `kind` lie: nuclei apart, cells and membranes packed, long cells crossing."""
    check_kind(kind)
    return _TISSUES[kind]


def look_of(kind: Kind) -> Look:
    """How images of `kind` look: fluorescence with two channels for cells, one for nuclei; phase contrast."""
    check_kind(kind)
    return _LOOKS[kind]


def check_kind(kind: str) -> None:
    """Raise SettingsError for a kind that there is not."""
    if kind not in KINDS:
        raise SettingsError(f"there is no synthetic kind {kind!r}; wanted one of {', '.join(KINDS)}")
