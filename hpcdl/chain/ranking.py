"""The ranking of a chain's models by their results: pure, but for reading what the runs have left and for discarding."""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpcdl.chain.chainfile import Ranking, Stage
from hpcdl.chain.folder import ChainFolder
from hpcdl.chain.queue import name_of, read_result
from hpcdl.collector.records import Record
from hpcdl.collector.runfolder import read_run_folder
from hpcdl.collector.table import Table, shown
from hpcdl.errors import RunError
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
    """What distinguishes it in its stage's sweep."""
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
        inference = _first_status(chain, taker, slurm) if taker else None
        runs = _runs(chain, stage)
        points = stage.whole.sweep.all_points() if stage.whole.sweep else [{}]
        if not runs:
            reason = f"stage {stage.name} never began"
            models += [
                Model(_named(stage, index), chain.stage(stage.name), point, None, None, None, State.CANCELLED, reason)
                for index, point in enumerate(points)
            ]
        for run, status, point in zip(runs, look(runs, slurm), points, strict=False):
            models.append(_model(chain, run, status, point, taker, inference))
    return models


def _named(stage: Stage, index: int) -> str:
    return f"{stage.name}/{index}" if stage.whole.sweep else stage.name


def _runs(chain: ChainFolder, stage: Stage) -> list[Run]:
    folder = chain.stage(stage.name)
    return find_runs([folder], chain.path) if folder.is_dir() else []


def _first_status(chain: ChainFolder, stage: Stage, slurm: Slurm | None) -> Status | None:
    return next(iter(look(_runs(chain, stage), slurm)), None)


def _model(
    chain: ChainFolder, run: Run, status: Status, point: dict[str, Any], taker: Stage | None, inference: Status | None
) -> Model:
    name, by = name_of(run, chain), chain.chain.ranking.by
    row = read_run_folder(run.folder, lambda text: None)
    known = Model(name, run.folder, point, None, row.time_s or status.elapsed_s, None, status.state, status.cause)
    if status.state is not State.COMPLETED:
        return known
    if taker is None:
        columns = {key.removeprefix("metric."): value for key, value in row.as_dict().items()}
        return _with_value(known, columns.get(by), f"its training tells no {by}")
    result = read_result(chain, taker, name)
    if result is None:
        state = inference.state if inference and inference.state is not State.COMPLETED else State.UNKNOWN
        cause = f"{state.value}{f': {inference.cause}' if inference and inference.cause else ''}"
        return replace(known, state=state, reason=f"{taker.name} has not dealt with it; it is {cause}")
    known = replace(known, inference_s=result.time_s)
    if result.exit_code:
        return replace(known, state=State.FAILED, reason=f"{taker.name}: {result.reason}")
    there = f"; it tells {', '.join(result.measures)}" if result.measures else ""
    return _with_value(known, result.measures.get(by), f"{taker.name} tells no {by}{there}")


def _with_value(model: Model, value: Any, otherwise: str) -> Model:
    if isinstance(value, int | float) and math.isfinite(value):
        return replace(model, value=float(value), reason=None)
    return replace(model, reason=otherwise if value is None else f"{otherwise} that is a finite number ({value})")


def table(models: Sequence[Model], ranking: Ranking) -> Table:
    """Return the ranking as a table for every format of `hpcdl collect`; the reasons stand below it."""
    settings = list(dict.fromkeys(key for model in models for key in model.point))
    records = [
        Record(
            {
                "rank": model.rank,
                "run": model.run,
                **{key: model.point.get(key) for key in settings},
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
