"""`hpcdl collect`: what the logs of runs tell, as a table."""

import os
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from hpcdl.collector import Row
    from hpcdl.collector.table import Request, Table


class Format(str, Enum):
    """How the table is written."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    html = "html"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"


PATHS = typer.Argument(None, help="Logs, run folders, folders that hold some, or - for standard input.")
PATTERN = typer.Option(
    None,
    "--pattern",
    help="How file names tell the run: a regular expression with (?P<run>...), (?P<stream>out|err).",
)
DIALECT = typer.Option([], "--dialect", help="A YAML file with patterns of your own for log lines.")
SACCT = typer.Option(None, "--sacct/--no-sacct", help="Ask Slurm's accounting too; by default where it answers.")
WHERE = typer.Option([], "--where", help="Only rows for which this holds: 'ranks >= 2 and outcome != completed'.")
SORT = typer.Option([], "--sort", metavar="COLUMN", help="Sort by a column; -COLUMN from high to low.")
GROUP_BY = typer.Option([], "--group-by", metavar="COLUMN", help="Bring rows with the same value together.")


def collect(
    context: typer.Context,
    paths: list[Path] = PATHS,
    format_: Format = typer.Option(
        None, "--format", help="table, markdown, latex, html are for people; csv, json, jsonl, parquet exact."
    ),
    output: Path = typer.Option(None, "-o", "--output", help="Write to this file; its suffix tells the format."),
    where: list[str] = WHERE,
    sort: list[str] = SORT,
    columns: list[str] = typer.Option([], "--columns", help="These columns, in this order, with commas between."),
    epochs: bool = typer.Option(False, "--epochs", help="One row for each epoch."),
    ranks: bool = typer.Option(False, "--ranks", help="One row for each rank."),
    repeats: bool = typer.Option(
        False, "--repeats", help="One row for the runs of a job that differ in their seed only: mean ± deviation."
    ),
    group_by: list[str] = GROUP_BY,
    speedup: bool = typer.Option(
        False, "--speedup", help="Add speed-up and efficiency against the smallest run of a group."
    ),
    compare: tuple[str, str] = typer.Option(
        None, "--compare", metavar="A B", help="What differs between two runs (or 'conditions'), in job and result."
    ),
    watch: bool = typer.Option(False, "--watch", help="Follow running runs until all have ended."),
    interval_s: float = typer.Option(2.0, "--interval", min=0.1, help="How often --watch looks, in seconds."),
    pattern: str = PATTERN,
    dialect: list[Path] = DIALECT,
    sacct: bool = SACCT,
    index: bool = typer.Option(
        True, "--index/--no-index", help="Keep what was read in .hpcdl-index.sqlite beside many runs."
    ),
    jobs: int = typer.Option(None, "-j", "--jobs", min=1, help="Processes that read; by default the usable cores."),
    mpi: bool = typer.Option(False, "--mpi", help="Read on all MPI ranks: srun -n 8 hpcdl collect --mpi runs/."),
    explain: Path = typer.Option(None, "--explain", help="Show what is recognised in this one log, line by line."),
) -> None:
    """Print one row per run: what it reached, how fast, and why it ended."""
    from hpcdl.collector import parallel, select
    from hpcdl.collector.table import Request, build

    if explain:
        from hpcdl.collector.dialect import load_dialects
        from hpcdl.collector.explain import explained

        for line in explained(explain, load_dialects(dialect, warn)):
            print(line)
        return
    request = Request(
        epochs=epochs,
        ranks=ranks,
        repeats=repeats,
        speedup=speedup,
        compare=compare,
        group_by=select.split_names(group_by),
        where=where,
        sort=select.split_names(sort),
        columns=select.split_names(columns),
    )
    chosen = chosen_format(format_, output)
    executor = context.with_resource(parallel.over_ranks()) if mpi else None
    if mpi and executor is None:
        return  # this rank has read for rank 0, which prints

    def read(quiet: bool = False) -> "list[Row]":
        return read_rows(paths, pattern, dialect, sacct, quiet, index, jobs, executor, epochs)

    if watch:
        _watch(read, request, interval_s)
    rows = read()
    table = build(rows, request)
    if not table.records:
        warn(f"none of {len(rows)} runs fulfils --where")
    if output:
        write_table(output, table, chosen)
    else:
        print_table(table, chosen)


def warn(text: str) -> None:
    """Print one sentence of warning."""
    from hpcdl.collector.columns import harmless

    print(f"warning: {harmless(text)}", file=sys.stderr)


def read_rows(
    paths: list[Path] | None,
    pattern: str | None,
    dialect: list[Path],
    sacct: bool | None,
    quiet: bool = False,
    index: bool = True,
    jobs: int | None = None,
    executor: "Executor | None" = None,
    epochs: bool = True,
) -> "list[Row]":
    """Return the rows of the runs under `paths`, with what Slurm's accounting adds.

    Raises:
        CollectError: there is none.
    """
    from hpcdl.collector import collect_rows, parallel
    from hpcdl.errors import CollectError

    tell: Callable[[str], None] = (lambda text: None) if quiet else warn
    if not paths:
        raise CollectError("nothing to collect; give logs, run folders, or folders that hold some, such as runs/.")
    rows = collect_rows(paths, tell, pattern, dialect, index, jobs or parallel.usable_cores(), executor, epochs)
    if not rows:
        raise CollectError(f"no run found in {', '.join(map(str, paths))}; give logs, run folders, or folders of them.")
    if sacct is not False:
        from hpcdl.collector.sacct import join

        join(rows, tell if sacct else lambda text: None)
    return rows


def chosen_format(asked: Format | None, output: Path | None) -> str:
    from hpcdl.collector.formats import format_of
    from hpcdl.errors import CollectError

    named = format_of(output) if output and not asked else Format.table.value
    chosen = asked.value if asked else named
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise CollectError("Parquet is bytes, which no terminal shows; write it to a file: -o runs.parquet.")
    return chosen


def write_table(path: Path, table: "Table", format_: str) -> None:
    from hpcdl.collector.formats import writer
    from hpcdl.errors import CollectError
    from hpcdl.files import write_atomically

    try:
        write_atomically(path, writer(format_)(table))
    except OSError as error:
        raise CollectError(f"-o {path}: cannot be written ({error.strerror}).") from None


def print_table(table: "Table", format_: str) -> None:
    from hpcdl.collector.formats import writer

    if format_ == "table":
        from hpcdl.collector.formats import terminal

        for line in terminal.lines(table, width()):
            print(line)
        return
    text = writer(format_)(table)
    if isinstance(text, bytes):
        sys.stdout.buffer.write(text)
    else:
        sys.stdout.write(text)


def width() -> int | None:
    """Return the characters of the terminal; None for a file or a pipe, which have no width."""
    import shutil

    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def _watch(read: "Callable[[bool], list[Row]]", request: "Request", interval_s: float) -> None:
    """Show the table anew while a run is running: redrawn on a terminal, else one line for each change."""
    import time

    from hpcdl.collector.watch import changes

    rows = read(False)
    try:
        if sys.stdout.isatty():
            _redraw(rows, read, request, interval_s)
            return
        told: dict[str, str] = {}
        while True:
            for line in changes(rows, told):
                print(line, flush=True)
            if not _is_running(rows):
                return
            time.sleep(interval_s)
            rows = read(True)
    except KeyboardInterrupt:
        return  # the table of what is known by now follows


def _redraw(rows: "list[Row]", read: "Callable[[bool], list[Row]]", request: "Request", interval_s: float) -> None:
    import time

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from hpcdl.collector.formats import terminal
    from hpcdl.collector.table import build

    with Live(console=Console(highlight=False), transient=True, auto_refresh=False) as live:
        while _is_running(rows):
            live.update(Text("\n".join(terminal.lines(build(rows, request), width()))), refresh=True)
            time.sleep(interval_s)
            rows = read(True)


def _is_running(rows: "list[Row]") -> bool:
    return any(row.outcome == "running" for row in rows)
