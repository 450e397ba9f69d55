"""What a run is given: volumes and masks opened, opened again by whoever resumes, and held against the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bigcell.core.box import Box
from bigcell.core.errors import PlanError, SettingsError
from bigcell.core.settings import check_type, from_document
from bigcell.core.unknown_options import refuse_unknown
from bigcell.core.volume import Volume
from bigcell.engine.planning.foreground_mask import open_foreground, reopen_foreground, with_foreground
from bigcell.engine.planning.intensity_options import intensity_settings
from bigcell.engine.planning.options import Options, Source
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.engine.runs.saved_flows import is_kept, revive_view
from bigcell.io.formats.arrays import FLOWS, as_volume
from bigcell.io.ngff.image import ZarrVolume, open_image
from bigcell.io.stores.urls import without_credentials
from bigcell.preprocess.channels import GREY
from bigcell.preprocess.foreground import Foreground
from bigcell.provenance.fingerprint import difference

VIEW = ("level", "channels", "time", "region")
LOOSE = ("block", "view_weights", "flow3D_smooth")
"""Options of one number or several, which the plan makes as many as it wants."""
RUN = ("image", "output", "labels", "overwrite", "keep_flows", "work", "report", "workers", "cluster")
"""What `segment` takes besides the options of a plan."""


@dataclass(frozen=True)
class Inputs:
    """The volumes of a run, and how to open them again. `foreground`: a mask, or an intensity of the image; the work
    folder has it afterwards."""

    image: Volume | None
    given: Volume | None
    reopen: dict[str, Any]
    foreground: float | Volume | None = None

    @property
    def home(self) -> ZarrVolume | None:
        """The OME-Zarr that the labels are of: the image, or else the flows; None for arrays."""
        volume = self.image if self.image is not None else self.given
        return volume if isinstance(volume, ZarrVolume) else None


def prepare(image: Source | None, options: Options) -> tuple[Inputs, Request]:
    """Open the inputs and gather the settings; an unknown option is an error that names the nearest one."""
    values: dict[str, Any] = dict(options)
    refuse_unknown(values, (*Options.__annotations__, *RUN), "segment")
    view = {k: values.pop(k) for k in VIEW if values.get(k) is not None}
    check_type(int | None, level=view.get("level"), time=view.get("time"))
    check_type(Box | None, region=view.get("region"))
    values["normalize"] = intensity_settings(values, grey=_takes_grey(image, view))
    flows, axes = values.pop("flows", None), values.pop("axes", None)
    for name in ("model", "model_ortho"):
        if isinstance(values.get(name), Path):
            values[name] = str(values[name])
    wanted, wanted_again = open_foreground(values.pop("foreground", None), view.get("time", 0))
    if values.get("block") is not None:
        values["block"] = _block(values["block"])
    given_options = {k: v for k, v in values.items() if v is not None}
    loose = {k: given_options.pop(k) for k in LOOSE if k in given_options}
    request = replace(from_document(Request, given_options), **loose)
    if image is None and flows is None:
        raise SettingsError("neither an image nor flows were given; give an OME-Zarr, an array, or flows=")
    flow_view = {} if flows is not None and is_kept(flows) else {k: v for k, v in view.items() if k != "channels"}
    given, given_again = _open(flows, flow_view, usual=FLOWS) if flows is not None else (None, None)
    volume, again = _open(image, view, axes=axes, coloured=True) if image is not None else (None, None)
    return Inputs(volume, given, {"image": again, "flows": given_again, "foreground": wanted_again}, wanted), request


def _block(given: Any) -> Any:  # of two numbers or three, which the plan makes three
    """The voxels of a block, (z, y, x) or (y, x)."""
    block = tuple(given)
    check_type(tuple[int, ...], block=block)
    return tuple(int(n) for n in block)


def _takes_grey(image: Source | None, view: dict[str, Any]) -> bool:
    """Whether the mean of all channels is asked for; it is then no longer in `view`. A channel of that name wins."""
    channels = list(view.get("channels", ()))
    if len(set(channels)) < len(channels):
        raise SettingsError(
            f"channels {channels}: one is there twice. Channels count from 0 here; for the mean of all of them, as "
            f"Cellpose's [0, 0], give [{GREY!r}]"
        )
    if channels != [GREY] or (isinstance(image, str | Path) and GREY in open_image(image).info.channels):
        return False
    del view["channels"]
    return True


def _open(
    source: Source, view: dict[str, Any], axes: str | None = None, **array: Any
) -> tuple[Volume, dict[str, Any] | None]:
    """A volume, and the arguments that open it again (None for an array). `array`: how `as_volume` takes those."""
    if not isinstance(source, str | Path):
        if view:
            raise SettingsError(f"{', '.join(view)} choose a part of an OME-Zarr; an array is taken whole: cut it")
        return as_volume(source, axes=axes, **array), None
    if axes is not None:
        raise SettingsError(f"axes={axes!r} are of arrays, an OME-Zarr names its own; leave axes out")
    volume = open_image(source, **view)
    again = dict(view)
    if "channels" in again:
        again["channels"] = list(again["channels"])
    if "region" in again:
        again["region"] = [list(volume.region.start), list(volume.region.stop)]
    return volume, {"source": without_credentials(volume.info.source), **again}  # it is kept


def reopen(again: dict[str, Any]) -> Inputs:
    if not isinstance(again, dict):
        raise PlanError(f"the run's inputs are told by {type(again).__name__}, wanted an object; run `segment` again")
    opened: dict[str, Volume | None] = {}
    for role in ("image", "flows"):
        view = revive_view(again.get(role) or {})
        opened[role] = open_image(view.pop("source"), **view) if view else None
    if opened["image"] is None and opened["flows"] is None:
        raise PlanError("this run was over an array in memory, which is gone; run `segment` on it again")
    return Inputs(opened["image"], opened["flows"], again)


def check_unchanged(planned: Plan, inputs: Inputs) -> None:
    """Refuse to go on with other inputs, another model or another version of the algorithm than planned."""
    for volume, known, what in ((inputs.image, planned.image, "image"), (inputs.given, planned.flows, "flows")):
        if isinstance(volume, ZarrVolume):
            check_same_input(known, volume.identity(), what)
    current = {f.name: f.default for f in fields(Plan)}["engine"]
    if planned.engine != current:
        raise PlanError(
            f"this run was made by version {planned.engine} of the algorithm, here is {current}: "
            "use the bigcell of the record, or start anew with --overwrite"
        )
    if planned.model:
        from bigcell.engine.tasks.predict import loaded_model

        loaded_model(planned.model, planned.model_sha256)
        if planned.model_ortho:
            loaded_model(planned.model_ortho, planned.model_ortho_sha256)


def planned_foreground(planned: Plan, inputs: Inputs) -> Foreground | None:
    """The foreground of a plan that was made before, found again."""
    if planned.foreground is None:
        return None
    wanted = reopen_foreground(inputs.reopen.get("foreground"))
    if wanted is None:
        raise PlanError("the foreground was an array in memory, which is gone; run `segment` again with it")
    again, foreground = with_foreground(planned, inputs.image, inputs.given, wanted)
    assert again.foreground is not None
    if again.foreground.sha256 != planned.foreground.sha256:
        raise PlanError("the foreground is not the one that was planned: put the mask back, or start anew")
    return foreground


def check_same_input(planned: Mapping[str, Any], found: Mapping[str, Any], what: str) -> None:
    """Refuse an input that is not the one the plan was made for."""
    changed = difference(planned, found)
    if changed:
        raise PlanError(
            f"the {what} is not the one that was planned ({'; '.join(changed)}): put it back, or start anew"
        )
