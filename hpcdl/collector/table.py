"""Rows to text: a table for people, Markdown, CSV, JSON."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from hpcdl.collector.row import COLUMNS, Row

EMPTY = "-"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
"""What could move the cursor, recolour a terminal or turn text round: names and messages in logs are not ours."""


def harmless(text: str) -> str:
    """Return `text` with control characters, escape sequences and direction marks shown as code points.

    >>> harmless("a\\x1b[31mb")
    'a<1b>[31mb'
    """
    return CONTROL.sub(lambda match: f"<{ord(match[0]):02x}>", text)


SHORT: dict[str, Callable[[Row], str]] = {
    "run": lambda row: harmless(row.run),
    "ranks": lambda row: number(row.ranks, "d"),
    "epochs": lambda row: epochs(row),
    "test accuracy": lambda row: number(row.test_accuracy, ".4f"),
    "test loss": lambda row: loss(row.test_loss),
    "images/s": lambda row: rate(row.images_per_s),
    "time h:m:s": lambda row: duration(row.time_s),
    "outcome": lambda row: row.outcome.replace("_", " "),
    "expect": lambda row: expectation(row),
}
"""The short table for people: header (with unit), and the cell of a row."""

NUMERIC = ("ranks", "epochs", "test accuracy", "test loss", "images/s", "time h:m:s")


def number(value: float | None, form: str) -> str:
    """Return a number in the given format, EMPTY for None."""
    return EMPTY if value is None else format(value, form)


def loss(value: float | None) -> str:
    """Return a loss with four decimals, or with an exponent where those would be noughts.

    >>> loss(0.0332), loss(3.23e-05), loss(0.0)
    ('0.0332', '3.2e-05', '0.0000')
    """
    return number(value, ".1e" if value and abs(value) < 1e-3 else ".4f")


def rate(per_s: float | None) -> str:
    """Return a throughput to three digits or to whole images, whichever is finer.

    >>> rate(1530.125), rate(1.0881)
    ('1,530', '1.09')
    """
    return number(per_s, ",.0f" if per_s is not None and per_s >= 100 else ".3g")


def epochs(row: Row) -> str:
    """Return `done/planned`; EMPTY where the run has no epochs at all."""
    if row.epochs_done is None and row.epochs_planned is None:
        return EMPTY
    done = "?" if row.epochs_done is None else row.epochs_done
    return f"{done}/{'?' if row.epochs_planned is None else row.epochs_planned}"


def duration(seconds: float | None) -> str:
    """Return hours:minutes:seconds.

    >>> duration(3725.4)
    '1:02:05'
    """
    if seconds is None or not math.isfinite(seconds):
        return EMPTY
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def expectation(row: Row) -> str:
    """Return whether the row is what the job's `expect:` asks for."""
    if row.unmet is None:
        return EMPTY
    return "missed" if row.unmet else "met"


def short_columns(rows: Sequence[Row]) -> dict[str, Callable[[Row], str]]:
    """Return the columns of the short table; `expect` is one only where a job states what it expects."""
    stated = any(row.unmet is not None for row in rows)
    return {name: cell for name, cell in SHORT.items() if stated or name != "expect"}


def remarks(row: Row) -> list[str]:
    """Return the sentences that stand under a table for a row: cause with its place, next step, unmet expectations."""
    lines = []
    if row.cause:
        evidence = row.evidence
        place = f" ({evidence.file}{f':{evidence.line}' if evidence.line else ''})" if evidence else ""
        lines.append(f"{row.cause}{place}")
    if row.partial:
        lines.append(f"stopped in {row.partial}")
    if row.next_step:
        lines.append(f"next: {row.next_step}")
    lines += [f"expect: {text}" for text in row.unmet or []]
    return [harmless(line) for line in lines + row.notes]


def markdown(rows: Sequence[Row]) -> str:
    """Return the short table and its remarks as Markdown."""
    columns = short_columns(rows)
    lines = [_pipes(list(columns)), _pipes(["---:" if name in NUMERIC else "---" for name in columns])]
    lines += [_pipes([_markdown_text(cell(row)) for cell in columns.values()]) for row in rows]
    notes = [f"- {_markdown_text(row.run)}: {_markdown_text(line)}" for row in rows for line in remarks(row)]
    return "\n".join(lines + (["", *notes] if notes else [])) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_text(text: str) -> str:
    """Escape what Markdown or the HTML in it would take for markup."""
    text = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", harmless(text))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _columns(rows: Sequence[Row]) -> list[str]:
    extra = sorted({f"metric.{name}" for row in rows for name in row.metrics})
    return [*COLUMNS, *extra]


def as_json(rows: Sequence[Row]) -> str:
    """Return a list of objects, each with all columns; what is unknown, or no finite number, is null."""
    columns = _columns(rows)
    objects = []
    for row in rows:
        values = row.as_dict()
        objects.append({column: _json_value(values.get(column)) for column in columns})
    return json.dumps(objects, indent=1, allow_nan=False) + "\n"


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_csv(rows: Sequence[Row]) -> str:
    """Return all columns with a header line; unknown is an empty cell, several files are joined by `;`.

    Text that a spreadsheet would run as a formula (=, +, -, @ first) gets an apostrophe before it, as OWASP advises:
    https://owasp.org/www-community/attacks/CSV_Injection. Numbers are never touched.
    """
    columns = _columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_csv_value(column) for column in columns])
    for row in rows:
        values = row.as_dict()
        writer.writerow([_csv_value(values.get(column)) for column in columns])
    return text.getvalue()


def _csv_value(value: Any) -> Any:
    if isinstance(value, list):
        value = ";".join(value)
    if isinstance(value, str):
        value = harmless(value)
        return "'" + value if value.startswith(("=", "+", "-", "@")) else value
    return _json_value(value)
