"""What differs between two runs, or between the repeats of two jobs: in the job, and in the result."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from hpcdl.collector.columns import DURATIONS, EMPTY, cell, harmless, header, with_spread
from hpcdl.collector.group import common, counted, repeat_key, spread
from hpcdl.collector.records import Record, of_runs
from hpcdl.collector.row import FLOAT_COLUMNS, Row
from hpcdl.collector.select import where
from hpcdl.collector.settings import SEEDS
from hpcdl.errors import CollectError

COMPARE_COLUMNS: dict[str, str] = {
    "part": "str: job or result",
    "column": "str: what is compared, by its column of the table of runs",
    "a": "str: its value on the first side, as people read it",
    "b": "str: its value on the second side",
    "a_mean": "float: the number on the first side, the mean where it is of several runs",
    "a_std": "float: their standard deviation",
    "a_n": "int: how many they are",
    "b_mean": "float: as a_mean, of the second side",
    "b_std": "float: as a_std",
    "b_n": "int: as a_n",
    "change": "float: b_mean - a_mean",
    "relative_change": "float: change / |a_mean|",
    "beyond_spread": "bool: whether the spread of the repeats does not explain the change; empty without repeats",
}
"""The columns of a comparison: type, meaning."""

T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom; NIST/SEMATECH e-Handbook, 1.3.6.7.2."""


def choose(rows: Sequence[Row], text: str, columns: Collection[str]) -> list[Row]:
    """Return the runs of one side: those of this name, else those that the condition holds for.

    Raises:
        CollectError: there is none, or several of that name.
    """
    named = [row for row in rows if row.run == text]
    if len(named) > 1:
        raise CollectError(
            f"--compare: {len(named)} runs are called {harmless(text)}; collect only one of their folders, or give "
            "a condition such as 'ranks == 2'."
        )
    if named:
        return named
    if not any(sign in text for sign in "=<>~"):
        names = ", ".join(harmless(row.run) for row in rows[:10]) + ", ..." * (len(rows) > 10)
        raise CollectError(
            f"--compare: no run is called {harmless(text)!r}; there are {names}. A condition such as 'ranks == 2' is "
            "good too."
        )
    holds = where(text, columns)
    chosen = [record.rows[0] for record in of_runs(rows) if holds(record.values)]
    if not chosen:
        raise CollectError(f"--compare: {harmless(text)!r} holds for no run.")
    return chosen


def with_repeats(sides: tuple[list[Row], list[Row]], rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return both sides with the other repeats of a side that is one run; where both are of one job, unchanged."""
    a, b = sides
    keys = [{repeat_key(row) for row in side} for side in sides]
    if keys[0] & keys[1]:
        return sides
    more = [
        side if len(side) > 1 else side + [row for row in rows if row is not side[0] and repeat_key(row) in key]
        for side, key in zip((a, b), keys, strict=True)
    ]
    return more[0], more[1]


def compare(a: Sequence[Row], b: Sequence[Row]) -> list[Record]:
    """Return one record for each key of the job that differs, and for each result that either side has.

    The seed counts only between single runs: repeats differ in it by their nature.
    """
    alone = len(a) == len(b) == 1
    keys = sorted({key for row in [*a, *b] for key in row.settings if alone or key not in SEEDS})
    records = []
    for key in ("job", "ranks", *keys):
        of_a, of_b = ([row.as_dict().get(key) for row in side] for side in (a, b))
        if set(map(str, of_a)) != set(map(str, of_b)):
            records.append(_record("job", key, {"a": _listed(key, of_a), "b": _listed(key, of_b)}, [*a, *b]))
    for column in ("outcome", "expect"):
        texts = {name: counted([getattr(row, column) for row in side]) for name, side in (("a", a), ("b", b))}
        if any(texts.values()):
            records.append(_record("result", column, texts, [*a, *b]))
    metrics = sorted({f"metric.{name}" for row in [*a, *b] for name in row.metrics})
    for column in ("epochs_done", *FLOAT_COLUMNS, *metrics):
        if values := _measured(column, a, b):
            records.append(_record("result", column, values, [*a, *b]))
    return records


def _record(part: str, column: str, values: dict[str, Any], rows: Sequence[Row]) -> Record:
    return Record(dict.fromkeys(COMPARE_COLUMNS) | {"part": part, "column": column} | values, list(rows))


def _listed(key: str, values: Sequence[Any]) -> str | None:
    same = common(values)
    if same is not None or not values:
        return cell(key, same)
    return ", ".join(dict.fromkeys(cell(key, value) for value in values))


def _measured(column: str, a: Sequence[Row], b: Sequence[Row]) -> dict[str, Any]:
    sides = {}
    for name, side in (("a", a), ("b", b)):
        # A stopped run's numbers are no results beside those of repeats that completed; alone they are all there is.
        rows = [row for row in side if row.outcome == "completed"] or (list(side) if len(side) == 1 else [])
        numbers = [value for row in rows if (value := row.as_dict().get(column)) is not None]
        sides[name] = (numbers, *spread(numbers))
    (_, a_mean, a_std, a_n), (_, b_mean, b_std, b_n) = sides["a"], sides["b"]
    if a_mean is None and b_mean is None:
        return {}
    values: dict[str, Any] = {
        "a": _told(column, a_mean, a_std, a_n),
        "b": _told(column, b_mean, b_std, b_n),
        **{"a_mean": a_mean, "a_std": a_std, "a_n": a_n, "b_mean": b_mean, "b_std": b_std, "b_n": b_n},
    }
    if a_mean is not None and b_mean is not None:
        values["change"] = b_mean - a_mean
        values["relative_change"] = (b_mean - a_mean) / abs(a_mean) if a_mean else None
        values["beyond_spread"] = beyond_spread(sides["a"][0], sides["b"][0])
    return values


def _told(column: str, mean: float | None, deviation: float | None, n: int) -> str | None:
    if mean is None:
        return None
    plain = "seconds" if column in DURATIONS else column
    text = cell(plain, mean) if deviation is None else with_spread(mean, deviation)
    return text if n == 1 else f"{text} (n={n})"


def beyond_spread(a: Sequence[float], b: Sequence[float]) -> bool | None:
    """Tell whether two means differ by more than their spread explains: Welch's t-test at 95 %.

    Returns:
        None where a side has fewer than two values: one value has no spread.
    """
    (mean_a, std_a, n_a), (mean_b, std_b, n_b) = spread(a), spread(b)
    if mean_a is None or mean_b is None or std_a is None or std_b is None:
        return None
    error_a, error_b = std_a**2 / n_a, std_b**2 / n_b  # squares of the means' standard errors
    if error_a + error_b == 0:
        return mean_a != mean_b
    freedom = (error_a + error_b) ** 2 / (error_a**2 / (n_a - 1) + error_b**2 / (n_b - 1))
    limit = T_95[min(max(math.floor(freedom), 1), len(T_95)) - 1]
    return abs(mean_b - mean_a) / math.sqrt(error_a + error_b) > limit


def title(column: str) -> str:
    """Return what is compared, for people: results by their header with unit, settings by their key."""
    return "time s" if column in DURATIONS else header(column)


def change(record: Record) -> str:
    """Return the change for people, relative where that can be said: `+3.1 %`."""
    absolute, relative = record.values["change"], record.values["relative_change"]
    if absolute is None:
        return EMPTY
    if relative is None:
        return f"{absolute:+.4g}"
    return f"{100 * relative:+.2g} %" if abs(relative) < 1 else f"{100 * relative:+,.0f} %"


def told(rows: Sequence[Row]) -> str:
    """Return which runs a side is, in a few words."""
    names = [harmless(row.run) for row in rows]
    return names[0] if len(names) == 1 else f"{len(names)} runs: {', '.join(names[:5])}{', ...' * (len(names) > 5)}"
