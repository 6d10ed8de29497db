"""A table for a terminal, or as plain text."""

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table as Grid
from rich.text import Text

from hpcdl.collector.table import Shown, Table

NARROWEST = {"run": 12, "outcome": 10, "expect": 6}
WIDEST = {
    **{"test accuracy": 8, "test loss": 7, "time h:m:s": 8, "speed-up": 6, "val loss": 6, "val accuracy": 8},
    **{"local rank": 5, "images/s of the rank": 8, "beyond spread": 6},
}
"""Characters of columns: together they fit into 80, since the headers of numbers are folded and not cut."""
LONGEST_RUN = 24
"""Characters of a run's name that are never folded."""
NO_WIDTH = 500
"""A file or a pipe has no width: nothing is cut or folded."""


LESS = ("test loss", "val loss", "time h:m:s", "time s", "epochs", "expect", "epoch s", "host", "speed-up", "job")
"""What a narrow terminal does without, in this order, before names and numbers are folded."""


def fitting(table: Table, width: int) -> list[Shown]:
    """Return the columns that fit into `width` characters, those of LESS left out as far as needed."""
    columns = list(table.shown)
    needs = {column.header: _need(column, table) for column in columns}
    for name in () if table.chosen else LESS:
        if sum(needs[column.header] for column in columns) + len(columns) - 1 <= width:
            break
        columns = [column for column in columns if column.header != name]
    return columns


def _need(column: Shown, table: Table) -> int:
    words = [WIDEST.get(column.header, 0), *(len(word) for word in column.header.split())]
    texts = [len(column.text(record)) for record in table.records]
    if column.column == "run":
        texts = [min(length, LONGEST_RUN) for length in texts]
    return max([NARROWEST.get(column.header, 0), *words, *texts])


def grid(table: Table, columns: Sequence[Shown]) -> Grid:
    """Return the columns as a table of rich's."""
    made = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    for column in columns:
        justify: JustifyMethod = "right" if column.numeric else "left"
        made.add_column(
            Text(column.header),
            justify=justify,
            overflow="fold",
            min_width=NARROWEST.get(column.header),
            max_width=_need(column, table) if column.numeric else None,
        )
    for record in table.records:
        made.add_row(*(Text(column.text(record)) for column in columns))
    return made


def show(table: Table, console: Console) -> None:
    """Print the table; what is not for 80 columns, the causes, stands below it, one paragraph each."""
    columns = fitting(table, console.width)
    if table.records:
        console.print(grid(table, columns))
    if left_out := [column.header for column in table.shown if column not in columns]:
        console.print(Text(f"no room for {', '.join(left_out)}; a wider terminal or --columns shows it"))
    for note in table.notes:
        console.print(Text(note))
    for run, line in table.remarks:
        console.print(Text(f"{run}: {line}"))


def plain(table: Table) -> str:
    """Return the table as plain text, nothing cut or folded."""
    text = io.StringIO()
    show(table, Console(file=text, width=NO_WIDTH, highlight=False, no_color=True))
    return text.getvalue()
