"""What the index holds of one run: its rows as JSON, their epochs apart."""

import json
from dataclasses import asdict
from typing import Any, NamedTuple

from hpcdl.collector.reading import Reading
from hpcdl.collector.row import Evidence, Row


class Kept(NamedTuple):
    """What the index holds of one run."""

    mark: str
    """Of its files, when they were read."""
    reading: str
    """Its rows without their epochs, then its warnings, as JSON."""
    epochs: str
    """Row.history of each row, as JSON; empty where nobody asks for it."""

    @classmethod
    def packed(cls, mark: str, reading: Reading) -> "Kept":
        """Pack what a run gave."""
        rows = [_values(row) for row in reading.rows]
        epochs = [values.pop("history", []) for values in rows]
        return cls(mark, json.dumps([rows, reading.warnings]), json.dumps(epochs))

    def unpacked(self) -> Reading:
        """Return what the run gave.

        Raises:
            ValueError, TypeError, KeyError: this is nothing that was packed.
        """
        rows, warnings = json.loads(self.reading)
        found = [_row(values) for values in rows]
        if self.epochs:
            for row, history in zip(found, json.loads(self.epochs), strict=True):
                row.history = history
        return Reading(found, warnings)


NOTHING_KNOWN = vars(Row(""))


def _values(row: Row) -> dict[str, Any]:
    """Return what is known of a row, by field."""
    values = {name: value for name, value in vars(row).items() if value != NOTHING_KNOWN[name]}
    return values | {name: asdict(values[name]) for name in ("evidence", "verdict") if name in values}


def _row(values: dict[str, Any]) -> Row:
    if "evidence" in values:
        values["evidence"] = Evidence(**values["evidence"])
    if "verdict" in values:
        from hpcdl.run.states import State, Verdict

        values["verdict"] = Verdict(**{**values["verdict"], "state": State(values["verdict"]["state"])})
    return Row(**values)
