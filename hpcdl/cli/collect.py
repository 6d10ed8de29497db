"""`hpcdl collect`: what the logs of runs tell, as a table."""

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hpcdl.collector import Row


NARROWEST = {"run": 12, "outcome": 10, "expect": 6}
WIDEST = {"test accuracy": 8, "test loss": 7, "time h:m:s": 8}
"""Characters of columns: together they fit into 80, since the headers of numbers are folded and not cut."""


class Format(str, Enum):
    """How the table is written."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


def collect(
    context: typer.Context,
    paths: list[Path] = typer.Argument(
        None, help="Logs, run folders, folders that hold some, or - for standard input."
    ),
    format_: Format = typer.Option(Format.table, "--format", help="table is for people; csv, json: all columns."),
    pattern: str = typer.Option(
        None,
        "--pattern",
        help="How file names tell the run: a regular expression with (?P<run>...), (?P<stream>out|err).",
    ),
    dialect: list[Path] = typer.Option([], "--dialect", help="A YAML file with patterns of your own for log lines."),
    sacct: bool = typer.Option(
        None, "--sacct/--no-sacct", help="Ask Slurm's accounting too; by default where it answers."
    ),
    index: bool = typer.Option(
        True, "--index/--no-index", help="Keep what was read in .hpcdl-index.sqlite beside many runs."
    ),
    jobs: int = typer.Option(None, "-j", "--jobs", min=1, help="Processes that read; by default the usable cores."),
    mpi: bool = typer.Option(False, "--mpi", help="Read on all MPI ranks: srun -n 8 hpcdl collect --mpi runs/."),
    explain: Path = typer.Option(None, "--explain", help="Show what is recognised in this one log, line by line."),
) -> None:
    """Print one row per run: what it reached, how fast, and why it ended."""
    from hpcdl.collector import collect_rows, parallel, table
    from hpcdl.collector.dialect import load_dialects
    from hpcdl.errors import CollectError

    def warn(text: str) -> None:
        print(f"warning: {table.harmless(text)}", file=sys.stderr)

    if explain:
        from hpcdl.collector.explain import explained

        for line in explained(explain, load_dialects(dialect, warn)):
            print(line)
        return
    if not paths:
        raise CollectError("nothing to collect; give logs, run folders, or folders that hold some, such as runs/.")
    ranks = context.with_resource(parallel.over_ranks()) if mpi else None
    if mpi and ranks is None:
        return  # this rank has read for rank 0, which prints
    jobs = jobs or parallel.usable_cores()
    rows = collect_rows(paths, warn, pattern, dialect, index, jobs, ranks)
    if sacct is not False:
        from hpcdl.collector.sacct import join

        join(rows, warn if sacct else lambda text: None)
    if format_ is Format.table:
        _print_table(rows)
    else:
        write = {Format.markdown: table.markdown, Format.csv: table.as_csv, Format.json: table.as_json}[format_]
        sys.stdout.write(write(rows))
    if not rows:
        raise CollectError(f"no run found in {', '.join(map(str, paths))}; give logs, run folders, or folders of them.")


def _print_table(rows: "list[Row]") -> None:
    """Print the short table; what is not for 80 columns, the causes, stands below it, one paragraph each."""
    from rich import box
    from rich.console import Console, JustifyMethod
    from rich.table import Table
    from rich.text import Text

    from hpcdl.collector import table

    if not rows:
        return
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 500  # a file or a pipe has no width: nothing is cut or folded
    columns = table.short_columns(rows)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    for name in columns:
        justify: JustifyMethod = "right" if name in table.NUMERIC else "left"
        grid.add_column(
            Text(name), justify=justify, overflow="fold", min_width=NARROWEST.get(name), max_width=WIDEST.get(name)
        )
    for row in rows:
        grid.add_row(*(Text(cell(row)) for cell in columns.values()))
    console.print(grid)
    for row in rows:
        for line in table.remarks(row):
            console.print(Text(f"{table.harmless(row.run)}: {line}"))
