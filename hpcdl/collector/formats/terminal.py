"""A table for a terminal, or as plain text."""

import itertools
import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from hpcdl.collector.table import Shown, Table

NARROWEST = {"run": 12, "outcome": 10, "expect": 6}
WIDEST = {
    **{"test accuracy": 8, "test loss": 7, "time h:m:s": 8, "speed-up": 6, "val loss": 6, "val accuracy": 8},
    **{"local rank": 5, "images/s of the rank": 8, "beyond spread": 6},
}
"""Characters of columns whose header is folded: together they fit into 80."""
LESS = ("test loss", "val loss", "time h:m:s", "time s", "epochs", "expect", "epoch s", "host", "speed-up", "job")
"""What a narrow terminal does without, in this order, before names and numbers are folded."""
LONGEST_RUN = 24
"""Characters of a run's name that are never folded."""
LEAST = 8
"""Characters that a folded column keeps."""


def lines(table: Table, width: int | None) -> Iterator[str]:
    """Yield the table line by line; what is not for 80 columns, the causes, stands below it, one paragraph each.

    Args:
        width: characters of the terminal; None for a file, where nothing is cut or folded.
    """
    columns = fitting(table, width)
    if table.records:
        yield from grid(table, columns, width)
    left_out = [column.header for column in table.shown if column not in columns]
    notes = [f"no room for {', '.join(left_out)}; a wider terminal or --columns shows it"] if left_out else []
    for text in [*notes, *table.notes, *(f"{run}: {line}" for run, line in table.remarks)]:
        yield from _folded(text, width)


def plain(table: Table) -> str:
    """Return the table as plain text, nothing cut or folded."""
    return "".join(line + "\n" for line in lines(table, None))


def fitting(table: Table, width: int | None) -> list[Shown]:
    """Return the columns that fit into `width` characters, those of LESS left out as far as needed."""
    columns = list(table.shown)
    if width is None or table.chosen:
        return columns
    needs = {column.header: _need(column, [column.text(record) for record in table.records]) for column in columns}
    for name in LESS:
        if sum(needs[column.header] for column in columns) + len(columns) - 1 <= width:
            break
        columns = [column for column in columns if column.header != name]
    return columns


def _need(column: Shown, cells: Sequence[str]) -> int:
    longest = max(map(cell_len, cells), default=0)
    if column.column == "run":
        longest = min(longest, LONGEST_RUN)
    return max(_header_need(column), longest)


def _header_need(column: Shown) -> int:
    least = max(NARROWEST.get(column.header, 0), WIDEST.get(column.header, 0))
    return max([least, *map(cell_len, column.header.split())])


def grid(table: Table, columns: Sequence[Shown], width: int | None) -> Iterator[str]:
    """Yield header, rule and rows of the columns, texts folded where they do not fit into `width`."""
    rows = [[column.text(record) for column in columns] for record in table.records]
    widths = [
        max(_header_need(column), *(cell_len(row[number]) for row in rows)) for number, column in enumerate(columns)
    ]
    if width is not None:
        widths = _shrunk(widths, [not column.numeric for column in columns], width)
    heads = [_folded(column.header, size) for column, size in zip(columns, widths, strict=True)]
    deepest = max(map(len, heads))
    yield from _row([[""] * (deepest - len(head)) + head for head in heads], columns, widths)
    yield "─" * (sum(widths) + len(widths) - 1)
    for row in rows:
        yield from _row([_folded(cell, size) for cell, size in zip(row, widths, strict=True)], columns, widths)


def _shrunk(widths: list[int], texts: Sequence[bool], width: int) -> list[int]:
    """Return the widths with the widest column cut again and again, those of text first, until all fit or are LEAST."""
    widths = list(widths)
    for wanted in (True, False):
        while (excess := sum(widths) + len(widths) - 1 - width) > 0:
            sizes = sorted(
                ((widths[number], number) for number, text in enumerate(texts) if text is wanted), reverse=True
            )
            if not sizes or sizes[0][0] <= LEAST:
                break
            (widest, number), (second, _) = sizes[0], sizes[1] if len(sizes) > 1 else (LEAST, 0)
            widths[number] = max(LEAST, widest - min(excess, max(1, widest - second)))
    return widths


def _folded(text: str, width: int | None) -> list[str]:
    return [text] if width is None or cell_len(text) <= width else textwrap.wrap(text, width) or [""]


def _row(cells: Sequence[Sequence[str]], columns: Sequence[Shown], widths: Sequence[int]) -> Iterator[str]:
    for pieces in itertools.zip_longest(*cells, fillvalue=""):
        padded = []
        for piece, column, size in zip(pieces, columns, widths, strict=True):
            blanks = " " * (size - cell_len(piece))
            padded.append(blanks + piece if column.numeric else piece + blanks)
        yield " ".join(padded).rstrip()
