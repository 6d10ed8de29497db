"""Logs of jobs to rows: what each run reached, how fast, and why it ended.

The package is `hpcdl.collector`; the function that most callers want is `hpcdl.collect`.
"""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hpcdl.collector.find import find_runs
from hpcdl.collector.row import COLUMNS, FLOAT_COLUMNS, INT_COLUMNS, OUTCOMES, Evidence, Row

if TYPE_CHECKING:
    import pandas

__all__ = ["COLUMNS", "OUTCOMES", "CollectWarning", "Evidence", "Row", "collect", "collect_rows"]


class CollectWarning(UserWarning):
    """Something that was asked for could not be read; the rest was collected."""


def collect_rows(paths: Iterable[Path | str], warn: Callable[[str], None]) -> list[Row]:
    """Read the runs under `paths` into rows, in the order of the paths and of the names below them.

    Args:
        paths: run folders, or folders that hold some.
        warn: is called with one sentence for each thing that could not be read.
    """
    return [run(warn) for run in find_runs([Path(path) for path in paths], warn)]


def collect(paths: Iterable[Path | str] | Path | str) -> "pandas.DataFrame":
    """Read the runs under `paths` into a data frame: one row per run.

    Args:
        paths: run folders, or folders that hold some.

    Returns:
        The columns of COLUMNS, which states meaning and unit, then `metric.NAME` for any other metric. dtypes:
        Int64 (nullable) for counts and line numbers, Float64 (nullable) for quantities and metrics, object (lists of
        str) for `files`, string for the rest; unknown is <NA>.

    Warns:
        CollectWarning: for each thing that could not be read.
    """
    import pandas

    if isinstance(paths, Path | str):
        paths = [paths]
    rows = collect_rows(paths, lambda text: warnings.warn(text, CollectWarning, stacklevel=3))
    metrics = sorted({f"metric.{name}" for row in rows for name in row.metrics})
    frame = pandas.DataFrame([row.as_dict() for row in rows], columns=[*COLUMNS, *metrics])
    types = {name: "string" for name in COLUMNS if name != "files"}
    types |= dict.fromkeys(INT_COLUMNS, "Int64") | dict.fromkeys([*FLOAT_COLUMNS, *metrics], "Float64")
    return frame.astype(types)
