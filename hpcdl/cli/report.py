"""`hpcdl report`: the runs as one page, and as plots for papers."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpcdl.cli.collect import DIALECT, GROUP_BY, PATHS, PATTERN, SACCT, SORT, WHERE, read_rows, warn

if TYPE_CHECKING:
    from hpcdl.report.series import Plot


def report(
    paths: list[Path] = PATHS,
    output: Path = typer.Option(Path("report.html"), "-o", "--output", help="The page to write."),
    plots: Path = typer.Option(None, "--plots", metavar="FOLDER", help="Write the plots here too: PNG, SVG and PDF."),
    title: str = typer.Option("Report on runs", "--title", help="What stands above the page."),
    where: list[str] = WHERE,
    sort: list[str] = SORT,
    group_by: list[str] = GROUP_BY,
    columns: list[str] = typer.Option([], "--columns", help="The table's columns, with commas between."),
    pattern: str = PATTERN,
    dialect: list[Path] = DIALECT,
    sacct: bool = SACCT,
) -> None:
    """Write one page that needs nothing else: table, learning curves, speed-up, and why each run ended."""
    from hpcdl.collector import select
    from hpcdl.collector.table import Request, build, is_told
    from hpcdl.errors import CollectError
    from hpcdl.files import write_atomically
    from hpcdl.report import series
    from hpcdl.report.page import page

    groups = select.split_names(group_by)
    request = Request(
        where=where,
        sort=select.split_names(sort),
        group_by=groups,
        columns=select.split_names(columns),
        speedup=True,
    )
    rows = read_rows(paths, pattern, dialect, sacct)
    table = build(rows, request)
    if not table.records:
        warn(f"none of {len(rows)} runs fulfils --where")
    chosen = [record.rows[0] for record in table.records]
    if not table.chosen:
        table.shown = [column for column in table.shown if is_told(column, table)]
    curves, scaling = series.curves(chosen), series.scaling(chosen, groups)
    html = page(table, title, [("Learning curves", curves), ("Scaling", scaling)])
    try:
        write_atomically(output, html)
    except OSError as error:
        raise CollectError(f"{error.filename or output}: cannot be written ({error.strerror}).") from None
    if plots:
        write_plots(plots, [*curves, *scaling])


def write_plots(folder: Path, plots: "list[Plot]") -> None:
    """Write plots into a folder, each as PNG, SVG and PDF."""
    from hpcdl.errors import CollectError
    from hpcdl.files import write_atomically
    from hpcdl.report.plots import files

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for plot in plots:
            for name, data in files(plot):
                write_atomically(folder / name, data)
    except OSError as error:
        raise CollectError(f"{error.filename or folder}: cannot be written ({error.strerror}).") from None
