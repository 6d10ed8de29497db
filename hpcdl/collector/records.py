"""Rows to the records of a table: one for each run, epoch or rank."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hpcdl.collector.epochs import EPOCH_COLUMNS
from hpcdl.collector.ranks import RANK_COLUMNS
from hpcdl.collector.row import COLUMNS, Row

OF_THE_RUN = ("run", "job_id", "job", "ranks", "outcome", "cause")
"""What the tables of epochs and ranks say of the run in each of their lines."""


@dataclass
class Record:
    """One line of a table."""

    values: dict[str, Any]
    """By column; more than the table shows, so that all of it can be asked for."""
    rows: list[Row]
    """The runs that it tells of."""


def of_runs(rows: Iterable[Row]) -> list[Record]:
    """Return one record for each run."""
    return [Record(row.as_dict(), [row]) for row in rows]


def of_epochs(rows: Iterable[Row]) -> list[Record]:
    """Return one record for each epoch; a run without any has one, so that it is not lost."""
    records = []
    for row in rows:
        run = row.as_dict() | dict.fromkeys(EPOCH_COLUMNS)
        records += [Record(run | _epoch(epoch), [row]) for epoch in row.history or [{}]]
    return records


def of_ranks(rows: Iterable[Row]) -> list[Record]:
    """Return one record for each rank that is known; a run of which none is known has one, so that it is not lost."""
    records = []
    for row in rows:
        run = row.as_dict() | dict.fromkeys(RANK_COLUMNS)
        records += [Record(run | rank, [row]) for rank in row.rank_map or [{}]]
    return records


def _epoch(values: dict[str, float]) -> dict[str, float]:
    return {name if name in EPOCH_COLUMNS else f"metric.{name}": value for name, value in values.items()}


def columns_of_runs(rows: Sequence[Row]) -> list[str]:
    """Return all columns of runs: the documented ones, then metrics, then settings of the jobs."""
    metrics = sorted({f"metric.{name}" for row in rows for name in row.metrics})
    return list(dict.fromkeys([*COLUMNS, *metrics, *sorted({name for row in rows for name in row.settings})]))


def columns_of_epochs(rows: Sequence[Row]) -> list[str]:
    """Return all columns of epochs: the run, the documented ones, then metrics."""
    names = {name for row in rows for epoch in row.history for name in epoch}
    return [*OF_THE_RUN, *EPOCH_COLUMNS, *sorted(f"metric.{name}" for name in names - set(EPOCH_COLUMNS))]


def columns_of_ranks() -> list[str]:
    """Return all columns of ranks: the run, and the documented ones."""
    return [*OF_THE_RUN, *RANK_COLUMNS]
