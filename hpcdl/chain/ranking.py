"""The ranking of a chain's models by their results, and what becomes of those that are not kept."""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hpcdl.chain.chainfile import Ranking, Stage
from hpcdl.chain.folder import ChainFolder
from hpcdl.chain.queue import name_of, read_result
from hpcdl.collector.records import Record
from hpcdl.collector.runfolder import read_run_folder
from hpcdl.collector.table import Table, shown
from hpcdl.errors import RunError
from hpcdl.run.attempts import read_attempts
from hpcdl.run.find import Run, find_runs
from hpcdl.run.states import State
from hpcdl.run.status import Status, look
from hpcdl.slurm.client import Slurm

REMOVED = ("checkpoints", "model.keras", "best.keras")
"""What `remove_discarded` removes of a run (hpcdl/train/checkpoint.py): log, metrics and record stay."""


@dataclass(frozen=True)
class Model:
    """One model, and what is known of it. Unknown is None."""

    run: str
    """STAGE or STAGE/POINT."""
    folder: Path
    point: dict[str, Any]
    """Its values in its stage's sweep."""
    value: float | None
    """The number that decides."""
    training_s: float | None
    inference_s: float | None
    state: State
    """Of the training; where that is COMPLETED, of the inference."""
    reason: str | None
    """Why it has no value."""
    rank: int | None = None
    """From 1; None where there is no value."""
    kept: bool | None = None
    """None where there is no rank."""


def rank(models: Sequence[Model], ranking: Ranking) -> list[Model]:
    """Return the models, the best first, those without a value last; of equal ones the first stays the first."""
    sign = -1 if ranking.best == "highest" else 1
    with_value = [(model.value, model) for model in models if model.value is not None]
    ranked = [
        replace(model, rank=place, kept=ranking.keep is None or place <= ranking.keep)
        for place, (_, model) in enumerate(sorted(with_value, key=lambda pair: sign * pair[0]), 1)
    ]
    return ranked + [model for model in models if model.value is None]


def read_models(chain: ChainFolder, slurm: Slurm | None) -> list[Model]:
    """Return the chain's models as they stand.

    Args:
        slurm: None: nobody is asked.
    """
    models = []
    for stage in chain.chain.model_stages:
        taker = chain.chain.taker(stage.name)
        inference = next(iter(look(_runs(chain, taker), slurm)), None) if taker else None
        sweep = stage.whole.sweep
        points = {f"{stage.name}/{index}": point for index, point in enumerate(sweep.all_points())} if sweep else {}
        runs = _runs(chain, stage)
        for run, status in zip(runs, look(runs, slurm), strict=True):
            name = name_of(run, chain)
            models.append(_model(chain, run, status, points.get(name, {}), taker, inference))
        if not runs:
            reason = f"stage {stage.name} never began"
            models += [
                Model(name, chain.path / name, point, None, None, None, State.CANCELLED, reason)
                for name, point in (points or {stage.name: {}}).items()
            ]
    return models


def _runs(chain: ChainFolder, stage: Stage) -> list[Run]:
    folder = chain.stage(stage.name)
    return find_runs([folder], chain.path) if folder.is_dir() else []


def _model(
    chain: ChainFolder, run: Run, status: Status, point: dict[str, Any], taker: Stage | None, inference: Status | None
) -> Model:
    name, by = name_of(run, chain), chain.chain.ranking.by
    row = read_run_folder(run.folder, lambda text: None)
    time_s = next((value for value in (row.time_s, _worked_s(run), status.elapsed_s) if value is not None), None)
    known = Model(name, run.folder, point, None, time_s, None, status.state, status.cause)
    if status.state is not State.COMPLETED:
        return known
    if taker is None:
        columns = {key.removeprefix("metric."): value for key, value in row.as_dict().items()}
        numbers = {key: value for key, value in columns.items() if isinstance(value, int | float)}
        return _with_value(known, by, numbers, "its training")
    result = read_result(chain, taker, name)
    if result is None:
        if inference is None:
            return replace(known, reason=f"{taker.name} never began")
        cause = f": {inference.cause}" if inference.cause else ""
        reason = f"{taker.name} has not dealt with it, and is {inference.state.value}{cause}"
        return replace(known, state=inference.state, reason=reason)
    known = replace(known, inference_s=result.time_s)
    if result.exit_code:
        return replace(known, state=State.FAILED, reason=f"{taker.name}: {result.reason}")
    return _with_value(known, by, result.measures, taker.name)


def _worked_s(run: Run) -> float | None:
    """Return how long the script of a run was at work, all attempts that have ended together."""
    spans = [
        (datetime.fromisoformat(attempt.exit.ended) - datetime.fromisoformat(attempt.start.started)).total_seconds()
        for attempt in read_attempts(run.folder)
        if attempt.start and attempt.exit
    ]
    return sum(spans) if spans else None


def _with_value(model: Model, by: str, numbers: Mapping[str, float], teller: str) -> Model:
    value = numbers.get(by)
    if value is None:
        return replace(model, reason=f"{teller} tells no {by}; it tells {', '.join(numbers) or 'nothing'}")
    if not math.isfinite(value):
        return replace(model, reason=f"{teller} tells {by} {value}, which is no finite number")
    return replace(model, value=float(value), reason=None)


def table(models: Sequence[Model], ranking: Ranking) -> Table:
    """Return the ranking as a table for every format of `hpcdl collect`; the reasons stand below it."""
    settings = dict.fromkeys(key for model in models for key in model.point)
    records = [
        Record(
            {
                "rank": model.rank,
                "run": model.run,
                **{key if "." in key else f"sweep.{key}": model.point.get(key) for key in settings},
                ranking.by: model.value,
                "training_s": model.training_s,
                "inference_s": model.inference_s,
                "state": model.state.value,
                "kept": None if model.kept is None else "yes" if model.kept else "no",
                "reason": model.reason,
            },
            [],
        )
        for model in models
    ]
    columns = list(records[0].values) if records else []
    return Table(
        records,
        columns,
        [shown(column, records) for column in columns if column != "reason"],
        title="Ranking",
        notes=[f"{model.run}: {model.state.value}: {model.reason}" for model in models if model.reason],
    )


def discard(models: Sequence[Model]) -> Iterator[Path]:
    """Remove checkpoints and saved models of what was ranked and is not kept; yield what was removed.

    Raises:
        RunError: something cannot be removed.
    """
    for model in models:
        for name in REMOVED if model.kept is False else ():
            path = model.folder / name
            try:
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.exists():
                    path.unlink()
                else:
                    continue
            except OSError as fault:
                raise RunError(f"{path}: cannot be removed ({fault.strerror}).") from None
            yield path
