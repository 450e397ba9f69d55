"""Whether the voxels of a run's inputs are still those that it began with: a sample of them lies beside its plan.

`bigcell.io.ngff.chunk_sample` says what is looked at, and what is found out and what is not. The sample is no part of
the plan or of a record: two copies of an image have one plan, and give one result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bigcell.core.errors import PlanError
from bigcell.core.volume import Volume
from bigcell.engine.planning.bad_chunks import unread_chunks
from bigcell.io.ngff.chunk_sample import ChunkSample, changes, holding, take_sample
from bigcell.io.ngff.image import ZarrVolume
from bigcell.io.scratch import Scratch
from bigcell.io.stores.urls import without_credentials

MAX_LISTED = 5
"""Changed files that an error lists."""


def sample_inputs(image: Volume | None, given: Volume | None) -> dict[str, Any]:
    """A sample of the image and of the given flows as they are now, as JSON; of arrays in memory there is none."""
    return {what: take_sample(volume).to_json() for what, volume in _stored(image, given)}


def check_voxels(
    sample: Mapping[str, Any], image: Volume | None, given: Volume | None, scratch: Scratch, *, patient: bool = False
) -> None:
    """PlanError if the inputs have changed since `sample` was taken.

    A chunk that could not be read, and of which the run therefore holds nothing, may have been mended. A plan of before
    there were samples is believed.
    """
    for what, volume in _stored(image, given):
        if what in sample:
            known = _revived(sample[what])
            mended = [holding(volume, chunk) for chunk in unread_chunks(scratch, volume)]
            _refuse(what, volume, known, changes(known, volume, mended, patient=patient))


def _stored(image: Volume | None, given: Volume | None) -> Iterator[tuple[str, ZarrVolume]]:
    for what, volume in (("image", image), ("flows", given)):
        if isinstance(volume, ZarrVolume):
            yield what, volume


def _revived(values: Mapping[str, Any]) -> ChunkSample:
    try:
        return ChunkSample.from_json(values)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PlanError(
            f"the sample of the input in the plan cannot be read ({error!r}); start over with --overwrite"
        ) from error


def _refuse(what: str, volume: ZarrVolume, sample: ChunkSample, changed: list[str]) -> None:
    if changed:
        more = f" and {len(changed) - MAX_LISTED} more" if len(changed) > MAX_LISTED else ""
        raise PlanError(
            f"the {what} at {without_credentials(volume.info.source)} has changed since this run began, whose labels "
            f"would be partly of the old, partly of the new voxels: {len(changed)} of {len(sample.seen)} chunk files "
            f"looked at (of {sample.places}): {', '.join(changed[:MAX_LISTED])}{more}; put the {what} back and "
            "`bigcell resume`, or start over with --overwrite"
        )
