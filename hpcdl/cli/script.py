"""`hpcdl render`: from a job file to the text of its batch script."""

from pathlib import Path

import typer


def render(
    job: Path = typer.Argument(..., help="The job file (YAML)."),
    site: str = typer.Option("local", "--site", help="The site: the name of a profile, or a profile's path."),
) -> None:
    """Print the batch script of a job, as it would be submitted at a site."""
