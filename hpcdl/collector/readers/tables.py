"""Tables with a header: `| Epoch | Train Loss | Val Acc (%) |` and a row for each epoch."""

import re
from collections.abc import Callable

from hpcdl.collector.events import EpochEnd, Event
from hpcdl.collector.readers.numbers import NUMBER, fraction, metric_name

CELL = re.compile(rf"({NUMBER})\s*(%?)")


def reader() -> tuple[tuple[str, ...], Callable[[str], list[Event]]]:
    """Return triggers and a function that reads one file's lines in order; it remembers the last header."""
    header: list[str] = []

    def read(text: str) -> list[Event]:
        cells = [cell.strip() for cell in text.strip().strip("|").split("|")]
        if cells[0].lower() in ("epoch", "epochs"):
            header[:] = cells
            return []
        if not header or len(cells) != len(header) or not cells[0].isdecimal():
            return []
        values = {}
        for name, cell in zip(header[1:], cells[1:], strict=True):
            if match := CELL.fullmatch(cell):
                number = float(match[1])
                values[metric_name(name)] = fraction(number) if "%" in name or match[2] else number
        return [EpochEnd(values, int(cells[0]))] if values else []

    return ("|",), read
