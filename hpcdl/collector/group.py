"""Runs that belong together: repeats of one job to mean and spread, and how a job gains from more ranks."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from hpcdl.collector.records import Record
from hpcdl.collector.row import FLOAT_COLUMNS, Row
from hpcdl.collector.settings import SEEDS

Key = tuple[Hashable, ...]
SIZES = "resources."
"""How the keys of a job begin that say how large it is, and not what it trains."""


def repeat_key(row: Row, group_by: Sequence[str] = ()) -> Key:
    """Return what the repeats of a run have in common: its whole job apart from the seeds, and the number of ranks.

    The job of a log that no one prepared is not known: such a run repeats no other, unless `group_by` names the
    columns that make runs equal.
    """
    if row.settings:
        return ("job", row.job, row.ranks, *_settings(row, lambda key: key not in SEEDS))
    if group_by:
        values = row.as_dict()
        return ("columns", row.ranks, *(_hashable(values.get(column)) for column in group_by))
    return ("run", id(row))


def _settings(row: Row, counts: Callable[[str], bool]) -> Iterable[Hashable]:
    return sorted((key, str(value)) for key, value in row.settings.items() if counts(key))


def _hashable(value: Any) -> Hashable:
    return str(value) if isinstance(value, list | dict) else value


def merge_repeats(records: Sequence[Record], group_by: Sequence[str] = ()) -> list[Record]:
    """Return one record for the repeats of each job, in the order of their first run.

    A column of FLOAT_COLUMNS or `metric.NAME` holds the mean over the runs that completed, `COLUMN_std` their standard
    deviation (n - 1 in the denominator; None for n = 1), `COLUMN_n` how many they are. Any other column holds what
    all runs have in common, else None; `outcome` and `expect` then count.
    """
    repeats: dict[Key, list[Row]] = {}
    for record in records:
        for row in record.rows:
            repeats.setdefault(repeat_key(row, group_by), []).append(row)
    return [Record(_merged(rows), rows) for rows in repeats.values()]


def _merged(rows: Sequence[Row]) -> dict[str, Any]:
    all_values = [row.as_dict() for row in rows]
    columns = dict.fromkeys(column for values in all_values for column in values)
    merged: dict[str, Any] = {column: common([values.get(column) for values in all_values]) for column in columns}
    completed = [values for row, values in zip(rows, all_values, strict=True) if row.outcome == "completed"]
    for column in columns:
        if column in FLOAT_COLUMNS or column.startswith("metric."):
            numbers = [values[column] for values in completed if values.get(column) is not None]
            merged |= dict(zip(spread_columns(column), spread(numbers), strict=True))
    return merged | {
        "run": ", ".join(row.run for row in rows),
        "runs": len(rows),
        "completed": len(completed),
        "outcome": counted([row.outcome for row in rows]),
        "expect": counted([row.expect for row in rows]),
        "cause": "; ".join(f"{row.run}: {row.cause}" for row in rows if row.cause) or None,
    }


def differing(records: Sequence[Record]) -> list[str]:
    """Return the settings in which merged records differ, apart from the sizes, which `ranks` tells."""
    records = [record for record in records if record.rows[0].settings]
    names = dict.fromkeys(name for record in records for row in record.rows for name in row.settings)
    return [
        name
        for name in names
        if name not in SEEDS
        and not name.startswith(SIZES)
        and len({str(record.values.get(name)) for record in records}) > 1
    ]


def spread_columns(column: str) -> tuple[str, str, str]:
    """Return the columns of mean, standard deviation and n."""
    return column, f"{column}_std", f"{column}_n"


def spread(numbers: Sequence[float]) -> tuple[float | None, float | None, int]:
    """Return mean, standard deviation (None for fewer than two) and n."""
    mean = statistics.fmean(numbers) if numbers else None
    return mean, statistics.stdev(numbers) if len(numbers) > 1 else None, len(numbers)


def common(values: Sequence[Any]) -> Any:
    """Return the value that all have, else None."""
    return values[0] if all(value == values[0] for value in values) else None


def counted(values: Sequence[str | None]) -> str | None:
    """Return the value that all have, or how many have which: `2 completed, 1 crash`."""
    counts = Counter(value for value in values if value is not None)
    if len(counts) <= 1:
        return next(iter(counts), None)
    return ", ".join(f"{number} {value}" for value, number in counts.most_common())


def add_speedup(records: Sequence[Record], group_by: Sequence[str] = ()) -> None:
    """Add `speedup` and `efficiency` against the smallest run of each group: that of the fewest ranks.

    Speed is images per second of all ranks, or, where no run of the group tells that, epochs per second. Where several
    runs are the smallest, their mean counts. A group is what `group_by` says; without it the same job apart from
    seed and resources, or, for logs of others, the same job name.
    """
    groups: dict[Key, list[Record]] = {}
    for record in records:
        record.values |= {"speedup": None, "efficiency": None}
        key = group_key(record, group_by)
        if key is not None:
            groups.setdefault(key, []).append(record)
    for group in groups.values():
        _add_speedup(group)


def group_key(record: Record, group_by: Sequence[str] = ()) -> Key | None:
    """Return what the runs of one scaling series have in common; None where that is not known."""
    if group_by:
        return tuple(_hashable(record.values.get(column)) for column in group_by)
    row = record.rows[0]
    if row.settings:
        return ("job", row.job, *_settings(row, lambda key: key not in SEEDS and not key.startswith(SIZES)))
    return ("name", row.job) if row.job else None


def _add_speedup(group: Sequence[Record]) -> None:
    speeds = [_speed(record, "images_per_s") for record in group]
    if not any(speeds):
        speeds = [1 / duration if (duration := _speed(record, "epoch_s")) else None for record in group]
    known = [
        (record.values, record.values["ranks"], speed)
        for record, speed in zip(group, speeds, strict=True)
        if speed and _speed(record, "ranks")
    ]
    if not known:
        return
    smallest = min(ranks for _, ranks, _ in known)
    base = statistics.fmean(speed for _, ranks, speed in known if ranks == smallest)
    for values, ranks, speed in known:
        values["speedup"] = speed / base
        values["efficiency"] = speed / base * smallest / ranks


def _speed(record: Record, column: str) -> float | None:
    """Return a positive finite number, None where there is none."""
    value = record.values.get(column)
    return value if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None
