"""The verbs: open_volume, plan, segment, resume, rerun, convert, evaluate. The command line calls only these."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

from bigcell.cluster.array import work_in_array
from bigcell.cluster.choose import HERE, check_cluster, check_queue, check_watched, choose_executor
from bigcell.core.box import Box
from bigcell.core.errors import OutputError, PlanError, SettingsError
from bigcell.engine.pipeline.diameter import plan_request
from bigcell.engine.pipeline.in_memory import segment_in_memory
from bigcell.engine.pipeline.stage_runner import Result
from bigcell.engine.pipeline.time_estimate import expected_seconds
from bigcell.engine.planning.foreground_mask import with_foreground
from bigcell.engine.planning.memory_cost import estimate
from bigcell.engine.planning.options import MaskOptions, Options, Source
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.engine.planning.resources import check_room, usable_workers
from bigcell.engine.runs.ended import ended, read_record
from bigcell.engine.runs.find_run import find_run
from bigcell.engine.runs.inputs import Inputs, check_unchanged, planned_foreground, prepare, reopen
from bigcell.engine.runs.run_folder import RunFolder, execute
from bigcell.engine.runs.saved_flows import read_kept
from bigcell.engine.runs.source_sample import check_voxels, sample_inputs
from bigcell.engine.runs.work_folder import PLAN_FILE, is_unfinished, only_unfinished, work_folder
from bigcell.engine.runtime.events import Listener, RunStarted, ignore
from bigcell.engine.runtime.leases import Share
from bigcell.evaluation.evaluate import EvaluateSettings, Evaluation, compare_volumes, useful_workers
from bigcell.evaluation.inputs import Source as LabelSource
from bigcell.evaluation.inputs import open_compared, open_labels
from bigcell.io.formats.arrays import check_sendable
from bigcell.io.formats.convert import convert
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.publish import has_name
from bigcell.io.ngff.flow_store import check_flows_place
from bigcell.io.ngff.image import open_image
from bigcell.io.stores.urls import absolute, without_credentials
from bigcell.metrics.scores import THRESHOLDS
from bigcell.preprocess.foreground import Foreground

__all__ = ["convert", "evaluate", "masks", "open_volume", "plan", "rerun", "resume", "segment"]

open_volume = open_image


def plan(image: Source | None = None, *, workers: int | None = None, **options: Unpack[Options]) -> Plan:
    """Tell what `segment` would do with the same arguments, and what it would cost.

    Memory and disk come from arithmetic on blocks and tiles; the time from a calibration of a few seconds.

    Parameters
    ----------
    image
        As for `segment`.
    workers
        As for `segment`.
    **options
        As for `segment`.

    Returns
    -------
    Plan
        Prints as a table.

    Raises
    ------
    InputError, SettingsError, ModelError
        If the image, an option or the model cannot be used.
    """
    inputs, request = prepare(image, options)
    planned, count, _ = _planned(inputs, request, workers)
    assert planned.budget is not None
    return replace(planned, budget=replace(planned.budget, seconds=expected_seconds(planned, count)))


def segment(
    image: Source | None = None,
    *,
    output: str | Path | None = None,
    labels: str = "cells",
    overwrite: bool = False,
    keep_flows: str | Path | None = None,
    work: str | Path | None = None,
    report: bool = True,
    workers: int | None = None,
    cluster: str | None = None,
    performance_report: str | Path | None = None,
    listener: Listener = ignore,
    **options: Unpack[Options],
) -> Result:
    """Segment an image into cells, with the same labels for any blocks, workers and order of work.

    An OME-Zarr gets ``labels/<labels>`` in its own store, with an object table and a run record, unless `output` is
    given. An array is read block by block, and `Result.labels` holds the labels, unless `output` is given.

    Parameters
    ----------
    image
        An OME-Zarr (path or URL), or an array of any library (docs/reference/arrays.md), of axes
        (y, x), (z, y, x) or (channel, z, y, x) unless it or the option `axes` names them. None where `flows` is given.
    output
        A store of its own for the labels: a path, ``s3://`` or ``gs://``.
    labels
        Name of the labels.
    overwrite
        Replace labels of that name; otherwise they are refused.
    keep_flows
        A new OME-Zarr for the flows, from which `masks` makes labels with other thresholds.
    work
        A local folder for what the run leaves on the way; beside the store, or in the current folder if the store is
        elsewhere.
    report
        Whether a page about the run (``report.html``) is put beside the labels.
    workers
        How many work at once. None takes as many as cores and memory allow.
    cluster
        Who does the work: "serial", "processes", "local" (dask on this machine; the default for more than one worker),
        a queue with its site file ("slurm:site.toml"; also lsf, sge, pbs) or the ``tcp://`` address of a scheduler of
        dask.
    performance_report
        A file for dask's own report, of runs on dask.
    listener
        Called with each event of the run, as for a progress bar.
    **options
        Model, diameter, thresholds, blocks and all else that decides about the labels (`bigcell segment --help`).

    Returns
    -------
    Result
        Number of objects, and where the labels are or the labels themselves.

    Raises
    ------
    InputError, SettingsError, ModelError, OutputError, PlanError
        Before work starts, if the image, an option, the model, the destination or the machine does not fit.
    BlockError
        If blocks failed while the run was going on; `resume` does only those.

    Examples
    --------
    >>> import numpy as np
    >>> from bigcell import flows_from_labels
    >>> cell = np.pad(np.ones((16, 16), int), 4)
    >>> flows = np.concatenate([flows_from_labels(cell), [10.0 * cell - 5]])
    >>> segment(flows=flows).objects
    1
    """
    check_cluster(cluster)
    watched = check_watched(cluster, performance_report)
    inputs, request = prepare(image, options)
    if keep_flows is not None:
        _check_keeping(inputs, output, keep_flows, overwrite)
    if output is None and inputs.home is None:
        if watched is not None:
            raise SettingsError("an array is segmented in memory, without dask; leave out performance_report")
        planned, _, foreground = _planned(inputs, request, 1)
        return _flatten(segment_in_memory(planned, inputs.image, inputs.given, listener, foreground))
    store = _store(inputs, output)
    target = check_target(store, labels, image=inputs.home, overwrite=overwrite)
    planned, count, foreground = _planned(inputs, request, workers, keep_flows is not None)
    if cluster != "serial" and count > 1:
        check_sendable(inputs.image)
        check_sendable(inputs.given)
    if cluster is None or cluster in HERE:
        check_room(planned, work_folder(store, labels, work))
    elif planned.budget is not None:
        check_queue(cluster, planned.budget.worker, network=bool(planned.model))
    kept = absolute(keep_flows) if keep_flows is not None else ""
    sample = sample_inputs(inputs.image, inputs.given)
    outcome = RunFolder(
        planned, target, inputs.reopen, asdict(request), kept, str(work or ""), report, foreground, sample=sample
    )
    with outcome.leased(listener):
        outcome.save()
        return _run(outcome, inputs, count, cluster, listener, watched)


def save_plan(
    image: Source | None = None,
    *,
    output: str | Path | None = None,
    labels: str = "cells",
    overwrite: bool = False,
    keep_flows: str | Path | None = None,
    work: str | Path | None = None,
    report: bool = True,
    workers: int | None = None,
    **options: Unpack[Options],
) -> Path:
    """Do all that `segment` does before its first task, for workers that come later. Returns the file of the plan.

    Arguments are those of `segment`; `workers`: how many will share a machine. Arrays in memory are refused.
    """
    inputs, request = prepare(image, options)
    if None in [inputs.reopen[k] for k, v in (("image", inputs.image), ("flows", inputs.given)) if v is not None]:
        raise SettingsError("an array in memory cannot be reached by workers elsewhere; write it to an OME-Zarr first")
    if keep_flows is not None:
        _check_keeping(inputs, output, keep_flows, overwrite)
    store = _store(inputs, output)
    target = check_target(store, labels, image=inputs.home, overwrite=overwrite)
    planned, _, foreground = _planned(inputs, request, workers or 1, keep_flows is not None)
    assert planned.budget is not None
    if planned.budget.slab:  # workers of an array do a stage whole before the next one
        planned = replace(planned, budget=replace(planned.budget, slab=0, scratch=planned.budget.stagewise))
    check_room(planned, work_folder(store, labels, work))
    kept = absolute(keep_flows) if keep_flows is not None else ""
    sample = sample_inputs(inputs.image, inputs.given)
    outcome = RunFolder(
        planned, target, inputs.reopen, asdict(request), kept, str(work or ""), report, foreground, sample=sample
    )
    with outcome.leased():
        outcome.save()
    return outcome.work / PLAN_FILE


def worker(
    plan: str | Path,
    *,
    index: int,
    of: int,
    labels: str | None = None,
    work: str | Path | None = None,
    workers: int = 1,
    listener: Listener = ignore,
) -> Result:
    """Take part, as worker `index` of `of`, in the run that `save_plan` planned or that stopped; until it is finished.

    `plan`: its file, its folder, or the store that its labels go to. Workers may begin and end at any time, and need no
    scheduler: what they tell each other stands in the work folder. `workers`: processes of this one.
    """
    share = Share(index, of)
    store, name, work = find_run(plan, labels, work)
    folder = work_folder(store, name, work)
    if not is_unfinished(folder):
        return ended(folder, store, name, listener)
    outcome = RunFolder.load(folder, str(work or ""))
    with outcome.leased(listener, shared=True):
        inputs, count = _taken_up(outcome, workers)
        return work_in_array(outcome, inputs.image, inputs.given, share, count, listener)


def masks(
    flows: str | Path,
    *,
    output: str | Path | None = None,
    labels: str = "cells",
    overwrite: bool = False,
    work: str | Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    listener: Listener = ignore,
    **changes: Unpack[MaskOptions],
) -> Result:
    """Make labels from flows that `segment` kept, with other thresholds and without the network.

    With no changes the labels are those of that run, voxel by voxel.

    Parameters
    ----------
    flows
        The store that `segment` was given as `keep_flows`.
    output
        The store for the labels; that of the run, unless it is given.
    labels
        Name of the labels.
    overwrite
        Replace labels of that name.
    work
        A local folder for what the run leaves on the way; beside the store, unless it is given.
    workers
        How many work at once. None takes as many as cores and memory allow.
    cluster
        Who does the work: "serial", "processes", "local" (dask on this machine; the default for more than one worker),
        a queue with its site file ("slurm:site.toml"; also lsf, sge, pbs) or the ``tcp://`` address of a scheduler of
        dask.
    listener
        Called with each event of the run, as for a progress bar.
    **changes
        Thresholds and sizes that differ from those of the run (`bigcell masks --help` lists them).

    Returns
    -------
    Result
        Where the labels are, and how many objects they hold.

    Raises
    ------
    InputError
        If `flows` holds none that `segment` kept.
    """
    kept = read_kept(flows)
    options: Any = {**kept.options(MaskOptions.__annotations__), **changes, **kept.view}
    return segment(
        kept.image,
        flows=flows,
        output=output or kept.store,
        labels=labels,
        overwrite=overwrite,
        work=work,
        workers=workers,
        cluster=cluster,
        listener=listener,
        **options,
    )


def resume(
    output: str | Path,
    *,
    labels: str | None = None,
    work: str | Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    performance_report: str | Path | None = None,
    listener: Listener = ignore,
) -> Result:
    """Take up an unfinished run. Finished tasks are not done again.

    The labels are byte for byte those of an undisturbed run. Of a run that had finished, the result is returned.

    Parameters
    ----------
    output
        The store that the labels of the run go to.
    labels
        Name of the labels; needed where several runs are unfinished.
    work
        Where the run worked, if `segment` was told so.
    workers
        How many work at once. None takes as many as cores and memory allow.
    cluster
        Who does the work: "serial", "processes", "local" (dask on this machine; the default for more than one worker),
        a queue with its site file ("slurm:site.toml"; also lsf, sge, pbs) or the ``tcp://`` address of a scheduler of
        dask.
    performance_report
        A file for dask's own report, from here on.
    listener
        Called with each event of the run, as for a progress bar.

    Returns
    -------
    Result
        As that of `segment`.

    Raises
    ------
    PlanError
        If there is no such run, or its image has changed since.
    """
    check_cluster(cluster)
    watched = check_watched(cluster, performance_report)
    name = labels or only_unfinished(output, work)
    folder = work_folder(output, name, work)
    if not is_unfinished(folder):
        return ended(folder, output, name, listener)
    outcome = RunFolder.load(folder, str(work or ""))
    with outcome.leased(listener, what="it cannot be resumed"):
        if not is_unfinished(folder):  # another driver ended it meanwhile
            return ended(folder, output, name, listener)
        inputs, count = _taken_up(outcome, workers)
        return _run(outcome, inputs, count, cluster, listener, watched)


def rerun(
    record: str | Path,
    *,
    output: str | Path | None = None,
    labels: str | None = None,
    overwrite: bool = False,
    work: str | Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    listener: Listener = ignore,
) -> Result:
    """Make the labels of a run record again, and check that they are the same.

    Parameters
    ----------
    record
        ``record.json``, or the labels' folder that holds it.
    output
        The store for the labels; that of the record, unless it is given.
    labels
        Name of the labels; that of the record, unless it is given.
    overwrite
        Replace labels of that name.
    work
        A local folder for what the run leaves on the way; beside the store, unless it is given.
    workers
        How many work at once. None takes as many as cores and memory allow.
    cluster
        Who does the work: "serial", "processes", "local" (dask on this machine; the default for more than one worker),
        a queue with its site file ("slurm:site.toml"; also lsf, sge, pbs) or the ``tcp://`` address of a scheduler of
        dask.
    listener
        Called with each event of the run, as for a progress bar.

    Returns
    -------
    Result
        Where the new labels are.

    Raises
    ------
    PlanError
        If the input or the model has changed, or if the labels come out different (they are kept, for comparison).
    """
    check_cluster(cluster)
    old = read_record(record)
    planned = Plan.from_json(old.plan).made_now()
    inputs = reopen(old.command["inputs"])
    check_unchanged(planned, inputs)
    foreground = planned_foreground(planned, inputs)
    store, name = output or old.command["store"], labels or old.command["labels"]
    target = check_target(store, name, image=inputs.home, overwrite=overwrite)
    sample = sample_inputs(inputs.image, inputs.given)
    outcome = RunFolder(
        planned, target, inputs.reopen, work_place=str(work or ""), foreground=foreground, sample=sample
    )
    with outcome.leased(listener):
        outcome.save()
        result = _run(outcome, inputs, usable_workers(planned, workers), cluster, listener)
    if result.counts["labels_sha256"] != old.result["labels_sha256"]:
        raise PlanError(
            f"the labels at {result.path} differ from those of the record ({result.objects} objects, then "
            f"{old.result['objects']}): compare the versions in the two records"
        )
    return result


def evaluate(
    found: LabelSource,
    truth: LabelSource,
    *,
    labels: str | None = None,
    truth_labels: str | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    tolerance: float = 2.0,
    share: float = 0.5,
    boxes: Sequence[Box] | None = None,
    time: int | None = None,
    axes: str | None = None,
    block: tuple[int, int, int] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    listener: Listener = ignore,
) -> Evaluation:
    """Compare the labels `found` with the `truth`: all scores, and the cells that went wrong.

    Both have one extent and any size: blocks are counted by workers and added up, with the same scores for any blocks.

    Parameters
    ----------
    found, truth
        An OME-Zarr, TIFF, PNG, ``.npy`` or array of integers, 0 for background.
    labels, truth_labels
        Which of several labels in an OME-Zarr.
    thresholds
        The IoUs from which cells match.
    tolerance
        How far borders may be apart, in voxels along x.
    share
        The part of the smaller cell from which two cells are one that was split or merged.
    boxes
        Where the truth was drawn, if not everywhere.
    time
        Which time point, of several.
    axes
        A letter for each axis ("zyx"), for files that do not say them.
    block
        Voxels (z, y, x) that are counted at once; None chooses them.
    workers
        How many work at once. None takes as many as cores and memory allow.
    cluster
        Who does the work: "serial", "processes", "local" (dask on this machine; the default for more than one worker),
        a queue with its site file ("slurm:site.toml"; also lsf, sge, pbs) or the ``tcp://`` address of a scheduler of
        dask.
    listener
        Called with each event of the run, as for a progress bar.

    Returns
    -------
    Evaluation
        Scores, and lists of cells; print its `scores` for a table.

    Raises
    ------
    InputError
        If the extents differ, or one of them holds no labels.

    Examples
    --------
    >>> print(evaluate("image.zarr", "truth.zarr", labels="cells").scores)      # doctest: +SKIP
    """
    check_cluster(cluster)
    settings = EvaluateSettings(tuple(thresholds), tolerance, share)
    named = ((found, labels), (truth, truth_labels))
    pred, true = (open_labels(source, name=name, time=time, axes=axes) for source, name in named)
    compared = open_compared(pred, true, boxes)
    count = useful_workers(compared, workers, block)
    kind = "serial" if compared.in_memory else cluster or ("serial" if count == 1 else "processes")
    return compare_volumes(compared, settings, choose_executor(kind, count), block=block, listener=listener)


def _planned(
    inputs: Inputs, request: Request, workers: int | None, keep: bool = False
) -> tuple[Plan, int, Foreground | None]:
    """The plan, how many workers, and the foreground, if one is asked for."""
    first, foreground = replace(plan_request(request, inputs.image, inputs.given), keep_flows=keep), None
    if inputs.foreground is not None:
        first, foreground = with_foreground(first, inputs.image, inputs.given, inputs.foreground)
    count = usable_workers(first, workers)
    return replace(first, budget=estimate(first, workers=count)), count, foreground


def _taken_up(outcome: RunFolder, workers: int | None) -> tuple[Inputs, int]:
    """The inputs of an unfinished run, which are still those that were planned, and how many workers."""
    inputs = reopen(outcome.inputs)
    outcome.check_loaded(inputs.home)
    check_unchanged(outcome.plan, inputs)
    if not has_name(outcome.target):  # else all voxels have been read
        check_voxels(outcome.sample, inputs.image, inputs.given, outcome.scratch)
    return inputs, usable_workers(outcome.plan, workers)


def _check_keeping(inputs: Inputs, output: str | Path | None, place: str | Path, overwrite: bool) -> None:
    if inputs.given is not None:
        raise SettingsError("the flows are given, so there is nothing new to keep; leave out keep_flows")
    if output is None and inputs.home is None:
        raise SettingsError("an array is segmented in memory, where no flows are kept; give output= as well")
    check_flows_place(place, overwrite=overwrite)


def _store(inputs: Inputs, output: str | Path | None) -> str | Path:
    if output is not None:
        return output
    if inputs.home is None:
        raise OutputError("labels of an array in memory need a place; give output=")
    source = inputs.home.info.source
    if source.startswith(("http://", "https://")):
        raise OutputError(
            f"{without_credentials(source)} is read from a URL that takes no files; give --output for the labels"
        )
    return source


def _run(
    outcome: RunFolder,
    inputs: Inputs,
    workers: int,
    cluster: str | None,
    listener: Listener,
    watched: Path | None = None,
) -> Result:
    listener(RunStarted(str(outcome.target.store), outcome.target.name))
    alone = (workers == 1 or len(outcome.plan.grid) == 1) and watched is None
    kind = cluster or ("serial" if alone else "local")
    with closing(choose_executor(kind, workers, outcome.work / "logs", watched)) as executor:
        return execute(outcome, inputs.image, inputs.given, executor, listener)


def _flatten(result: Result) -> Result:
    """Labels of a single plane as (y, x)."""
    if result.labels is not None and len(result.labels) == 1:
        return replace(result, labels=result.labels[0])
    return result
