"""Logs of jobs to rows: what each run reached, how fast, and why it ended.

The package is `hpcdl.collector`; the function that most callers want is `hpcdl.collect`.
"""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hpcdl.collector.dialect import load_dialects
from hpcdl.collector.find import find_runs
from hpcdl.collector.logs import Logs, read_logs
from hpcdl.collector.row import COLUMNS, OUTCOMES, Evidence, Row
from hpcdl.collector.runfolder import read_run_folder

if TYPE_CHECKING:
    import pandas

__all__ = ["COLUMNS", "OUTCOMES", "CollectWarning", "Evidence", "Row", "collect", "collect_rows"]


class CollectWarning(UserWarning):
    """Something that was asked for could not be read; the rest was collected."""


def collect_rows(
    paths: Iterable[Path | str],
    warn: Callable[[str], None],
    pattern: str | None = None,
    dialects: Iterable[Path | str] = (),
) -> list[Row]:
    """Read the runs under `paths` into rows, in the order of the paths and of the names below them.

    Args:
        paths: logs, run folders, folders that hold some, globs, `-` for standard input.
        warn: is called with one sentence for each thing that could not be read.
        pattern: how file names tell run and stream, where the known forms do not fit (find.find_runs).
        dialects: YAML files of the user's own patterns (dialect.Dialect).

    Raises:
        CollectError: the pattern or a dialect is wrong.
    """
    more = load_dialects(dialects, warn)
    rows: list[Row] = []
    for run in find_runs([Path(path) for path in paths], warn, pattern):
        if isinstance(run, Logs):
            rows += read_logs(run, warn, more)
            continue
        try:
            rows.append(read_run_folder(run, warn))
        except OSError as error:
            warn(f"{run}: cannot be read ({error.strerror})")
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
