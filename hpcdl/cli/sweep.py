"""`hpcdl plan`: what a sweep will train, before anything is submitted."""

from pathlib import Path

import typer

from hpcdl.cli.run import SET_OPTION


def plan(
    job_file: Path = typer.Argument(..., metavar="JOB", help="The job file (YAML)."),
    changes: list[str] = SET_OPTION,
) -> None:
    """Print the points of a job's sweep, one a line with its number, each checked like a job file of its own."""
    from hpcdl.job import parse_changes
    from hpcdl.points import load_points

    points = load_points(job_file, parse_changes(changes))
    keys = list(dict.fromkeys(key for point in points for key in point))
    rows = [
        ["point", *keys],
        *([str(number), *(str(point.get(key, "")) for key in keys)] for number, point in enumerate(points)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
