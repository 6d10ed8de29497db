"""Logs of jobs to rows: what each run reached, how fast, and why it ended.

The package is `hpcdl.collector`; the function that most callers want is `hpcdl.collect`.
"""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hpcdl.collector.find import find_runs
from hpcdl.collector.index import Indexes
from hpcdl.collector.parallel import read_all
from hpcdl.collector.reading import files_of, readers_of
from hpcdl.collector.row import COLUMNS, OUTCOMES, Evidence, Row

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas

__all__ = ["COLUMNS", "OUTCOMES", "CollectWarning", "Evidence", "Row", "collect", "collect_rows"]


class CollectWarning(UserWarning):
    """Something that was asked for could not be read; the rest was collected."""


def collect_rows(
    paths: Iterable[Path | str],
    warn: Callable[[str], None],
    pattern: str | None = None,
    dialects: Iterable[Path | str] = (),
    index: bool = False,
    jobs: int = 1,
    executor: "Executor | None" = None,
    epochs: bool = True,
) -> list[Row]:
    """Read the runs under `paths` into rows, in the order of the paths and of the names below them.

    Args:
        paths: logs, run folders, folders that hold some, globs, `-` for standard input.
        warn: is called with one sentence for each thing that could not be read.
        pattern: how file names tell run and stream, where the known forms do not fit (find.find_runs).
        dialects: YAML files of the user's own patterns (dialect.Dialect).
        index: keep what was read in an index beside many runs, and read only what has changed (index.Index).
        jobs: processes that read, from 1.
        executor: reads instead of processes of our own (parallel.over_ranks).
        epochs: give the epochs of each run (Row.history), also of those that the index knows; False leaves them out
            there, which is faster by half.

    Raises:
        CollectError: the pattern or a dialect is wrong.
    """
    where, dialects = [Path(path) for path in paths], list(dialects)
    readers_of(dialects, warn)  # a wrong one is told before anything is read
    runs = list(find_runs(where, warn, pattern))
    files = [files_of(run) for run in runs] if index or jobs > 1 or executor else [None] * len(runs)
    indexes = Indexes(where, runs, files, dialects, warn, epochs) if index else None
    known = [indexes.get(run, at) if indexes and at else None for run, at in zip(runs, files, strict=True)]
    missing = [number for number, reading in enumerate(known) if reading is None]
    fresh = read_all(
        [runs[number] for number in missing],
        [at.size if (at := files[number]) else 0 for number in missing],
        dialects,
        jobs,
        executor,
    )
    rows: list[Row] = []
    try:
        for run, at, reading in zip(runs, files, known, strict=True):
            if reading is None:
                reading = next(fresh)
                if indexes and at:
                    indexes.put(run, at, reading)
            for text in reading.warnings:
                warn(text)
            rows += reading.rows
    finally:
        if indexes:
            indexes.save()
    return rows


def collect(
    paths: Iterable[Path | str] | Path | str, pattern: str | None = None, dialects: Iterable[Path | str] = ()
) -> "pandas.DataFrame":
    """Read the runs under `paths` into a data frame: one row per run.

    Args:
        paths: one path or several: logs, run folders, folders that hold some, globs, `-` for standard input.
        pattern: how file names tell run and stream, where the known forms do not fit (find.find_runs).
        dialects: YAML files of the user's own patterns (dialect.Dialect).

    Returns:
        The columns of COLUMNS, which states meaning and unit, then `metric.NAME` for any other metric, then the values
        of the job by dotted key. dtypes: Int64 (nullable) for counts and line numbers, Float64 (nullable) for
        quantities and metrics, object (lists of str) for `files`, for the job's values what they are, string for the
        rest; unknown is <NA>.

    Raises:
        CollectError: the pattern or a dialect is wrong.

    Warns:
        CollectWarning: for each thing that could not be read.
    """
    from hpcdl.collector.frame import data_frame
    from hpcdl.collector.table import build

    if isinstance(paths, Path | str):
        paths = [paths]
    rows = collect_rows(paths, lambda text: warnings.warn(text, CollectWarning, stacklevel=3), pattern, dialects)
    return data_frame(build(rows))
