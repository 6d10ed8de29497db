"""A table: records with the columns that machines get and those that people see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hpcdl.collector import compare, group, records, select
from hpcdl.collector.columns import ALL_COLUMNS, DURATIONS, EMPTY, cell, harmless, header, is_numeric, with_spread
from hpcdl.collector.records import Record
from hpcdl.collector.row import FLOAT_COLUMNS, Row
from hpcdl.errors import CollectError

SHORT = "run ranks epochs test_accuracy test_loss images_per_s time_s outcome expect".split()
"""What people see of runs; `epochs` is done/planned."""
SHORT_REPEATS = "job ranks runs test_accuracy test_loss images_per_s time_s outcome expect".split()
SHORT_EPOCHS = "run epoch epoch_s images_per_s loss accuracy val_loss val_accuracy outcome".split()
SHORT_RANKS = "run rank host local_rank device rank_images_per_s outcome".split()
SHORT_COMPARE = "part column a b change beyond_spread".split()
MOST_SETTINGS = 4
"""How many settings that differ people see beside repeats."""


@dataclass
class Shown:
    """One column as people see it."""

    header: str
    text: Callable[[Record], str]
    numeric: bool
    column: str | None = None
    """The column it shows; None where it shows several."""


@dataclass
class Table:
    """A table for every format."""

    records: list[Record]
    columns: list[str]
    """What machines get, exact and in this order."""
    shown: list[Shown]
    """What people see, rounded."""
    title: str = "Runs"
    notes: list[str] = field(default_factory=list)
    """What must be known of the whole table."""
    chosen: bool = False
    """The columns were asked for one by one: none is left out, however narrow the terminal."""

    @property
    def remarks(self) -> list[tuple[str, str]]:
        """The name of a run and a sentence on it, in the order of the table."""
        rows = {id(row): row for record in self.records for row in record.rows}
        return [(harmless(row.run), line) for row in rows.values() for line in remarks(row)]


@dataclass
class Request:
    """What is asked of a table."""

    epochs: bool = False
    ranks: bool = False
    repeats: bool = False
    speedup: bool = False
    compare: tuple[str, str] | None = None
    group_by: Sequence[str] = ()
    where: Sequence[str] = ()
    sort: Sequence[str] = ()
    columns: Sequence[str] = ()


def build(rows: Sequence[Row], request: Request = Request()) -> Table:  # noqa: B008 never changed
    """Return the table that is asked for.

    Raises:
        CollectError: a column is not there, a condition is none, or the request contradicts itself.
    """
    forms = [
        name
        for name, asked in (("--epochs", request.epochs), ("--ranks", request.ranks), ("--repeats", request.repeats))
        if asked
    ]
    if request.compare:
        forms.append("--compare")
    if len(forms) > 1:
        raise CollectError(f"{' and '.join(forms)} are different tables; ask for one of them.")
    found = _records(rows, request)
    everything = dict.fromkeys([*_columns(rows, request), *(name for record in found for name in record.values)])
    group_by = [select.known(name, everything, "--group-by") for name in request.group_by]
    for text in request.where:
        condition = select.where(text, everything)
        found = [record for record in found if condition(record.values)]
    if request.compare:
        return _compared([record.rows[0] for record in found], request.compare, everything)
    if request.repeats:
        found = group.merge_repeats(found, group_by)
        everything |= dict.fromkeys(name for record in found for name in record.values)
        everything |= dict.fromkeys(["runs", "completed"])
    if request.speedup:
        group.add_speedup(found, group_by)
        everything |= dict.fromkeys(["speedup", "efficiency"])
    found = select.sort(found, [*group_by, *request.sort], everything)
    if request.columns:
        columns = [select.known(name, everything, "--columns") for name in request.columns]
        return Table(found, columns, [shown(column, found, request.repeats) for column in columns], chosen=True)
    columns = list(dict.fromkeys([*group_by, *_columns([row for record in found for row in record.rows], request)]))
    short = _short(found, request)
    lead = [name for name in group_by if name not in short]
    short = [short[0], *lead, *short[1:]] if "run" in short else [*lead, *short]
    return Table(found, columns, [shown(column, found, request.repeats) for column in short])


def _records(rows: Sequence[Row], request: Request) -> list[Record]:
    if request.epochs:
        return records.of_epochs(rows)
    if request.ranks:
        return records.of_ranks(rows)
    return records.of_runs(rows)


def _columns(rows: Sequence[Row], request: Request) -> list[str]:
    if request.epochs:
        return records.columns_of_epochs(rows)
    if request.ranks:
        return records.columns_of_ranks()
    columns = records.columns_of_runs(rows)
    if request.repeats:
        measured = [column for column in columns if _is_measured(column)]
        spread = [name for column in measured for name in group.spread_columns(column)]
        plain = [column for column in columns if column not in measured]
        columns = ["job", "ranks", "runs", "completed", *(name for name in plain if name not in ("job", "ranks"))]
        columns += spread
    return columns + ["speedup", "efficiency"] * request.speedup


def _is_measured(column: str) -> bool:
    return column in FLOAT_COLUMNS or column.startswith("metric.")


def _short(found: Sequence[Record], request: Request) -> list[str]:
    if request.epochs:
        return [name for name in SHORT_EPOCHS if name in ("run", "epoch", "outcome") or _is_there(found, name)]
    if request.ranks:
        return SHORT_RANKS
    short = list(SHORT_REPEATS if request.repeats else SHORT)
    if request.repeats:
        short[1:1] = group.differing(found)[:MOST_SETTINGS]
    if request.speedup:
        place = short.index("images_per_s") + 1
        short[place:place] = ["speedup", "efficiency"]
    return [name for name in short if name != "expect" or _is_there(found, "expect")]


def _is_there(found: Sequence[Record], column: str) -> bool:
    return any(record.values.get(column) is not None for record in found)


def shown(column: str, found: Sequence[Record], repeats: bool = False) -> Shown:
    """Return how people see a column."""
    if column == "epochs":
        return Shown("epochs", lambda record: epochs(record.rows[0]), True, "epochs_done")
    if column == "outcome":
        return Shown("outcome", lambda record: cell(column, record.values.get(column)).replace("_", " "), False, column)
    if repeats and column == "job":
        return Shown("job", lambda record: cell(column, record.values["job"] or record.values["run"]), False, column)
    if repeats and column == "runs":
        return Shown("runs", _runs, True, column)
    if repeats and _is_measured(column):
        name = "time s" if column in DURATIONS else header(column)
        return Shown(name, lambda record: _mean(column, record), True, column)
    known = [value for record in found if (value := record.values.get(column)) is not None]
    numeric = is_numeric(column)
    if column not in ALL_COLUMNS and known:
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    return Shown(header(column), lambda record: cell(column, record.values.get(column)), numeric, column)


def is_told(column: Shown, table: Table) -> bool:
    """Tell whether people see anything in a column."""
    return any(column.text(record) != EMPTY for record in table.records)


def _runs(record: Record) -> str:
    done, number = record.values["completed"], record.values["runs"]
    return str(number) if done == number else f"{done} of {number}"


def _mean(column: str, record: Record) -> str:
    mean, deviation, n = (record.values.get(name) for name in group.spread_columns(column))
    if mean is None:
        return EMPTY
    plain = "seconds" if column in DURATIONS else column  # a duration with its spread is in seconds
    text = cell(plain, mean) if deviation is None else with_spread(mean, deviation)
    return text if n == record.values["completed"] else f"{text} (n={n})"


def epochs(row: Row) -> str:
    """Return `done/planned`; EMPTY where the run has no epochs at all."""
    if row.epochs_done is None and row.epochs_planned is None:
        return EMPTY
    done = "?" if row.epochs_done is None else row.epochs_done
    return f"{done}/{'?' if row.epochs_planned is None else row.epochs_planned}"


def remarks(row: Row) -> list[str]:
    """Return the sentences that stand under a table for a row: cause with its place, next step, unmet expectations."""
    lines = []
    if row.cause:
        evidence = row.evidence
        place = f" ({evidence.file}{f':{evidence.line}' if evidence.line else ''})" if evidence else ""
        lines.append(f"{row.cause}{place}")
    if row.partial:
        lines.append(f"{'now' if row.outcome == 'running' else 'stopped'} in {row.partial}")
    if row.next_step:
        lines.append(f"next: {row.next_step}")
    lines += [f"expect: {text}" for text in row.unmet or [] if row.expect]
    return [harmless(line) for line in lines + row.notes]


def _compared(rows: Sequence[Row], sides: tuple[str, str], columns: dict[str, None]) -> Table:
    chosen = compare.choose(rows, sides[0], columns), compare.choose(rows, sides[1], columns)
    a, b = compare.with_repeats(chosen, rows)
    found = compare.compare(a, b)
    headers = {"column": "what", "a": "A", "b": "B", "beyond_spread": "beyond spread"}
    texts: dict[str, Callable[[Record], str]] = {
        "column": lambda record: compare.title(record.values["column"]),
        "change": compare.change,
        "beyond_spread": lambda record: {True: "yes", False: "no"}.get(record.values["beyond_spread"], EMPTY),
    }
    columns_shown = [
        Shown(
            headers.get(name, name),
            texts.get(name, lambda record, name=name: cell(name, record.values[name])),  # type: ignore[misc]
            name in ("a", "b", "change"),
            name,
        )
        for name in SHORT_COMPARE
    ]
    notes = [f"{side}: {compare.told(runs)}" for side, runs in (("A", a), ("B", b))]
    return Table(found, list(compare.COMPARE_COLUMNS), columns_shown, "Comparison", notes)
