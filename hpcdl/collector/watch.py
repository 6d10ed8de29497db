"""What has changed since one looked last, in plain lines: for `hpcdl collect --watch` into a file or a pipe."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from hpcdl.collector.columns import cell, harmless
from hpcdl.collector.row import Row
from hpcdl.collector.table import epochs


def changes(rows: Sequence[Row], told: dict[str, str], now: datetime | None = None) -> Iterator[str]:
    """Yield a line for each run of which there is news; `told` keeps what was said of each."""
    for row in rows:
        name = row.files[0] if row.files else row.run
        state = _state(row)
        if told.get(name) != state:
            told[name] = state
            yield f"{now or datetime.now():%H:%M:%S} {harmless(row.run)}: {state}"


def _state(row: Row) -> str:
    parts = [row.outcome.replace("_", " "), f"epochs {epochs(row)}"]
    if row.outcome == "running" and row.partial:
        parts.append(row.partial)
    for column in ("loss", "accuracy", "val_accuracy", "test_accuracy"):
        if (value := getattr(row, column)) is not None:
            parts.append(f"{column.replace('_', ' ')} {cell(column, value)}")
    return harmless(", ".join(parts))
