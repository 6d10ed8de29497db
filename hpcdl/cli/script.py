"""`hpcdl render`: from a job file to the text of its batch script."""

from pathlib import Path

import typer

from hpcdl.cli.run import SET_OPTION


def render(
    job_file: Path = typer.Argument(..., metavar="JOB", help="The job file (YAML)."),
    site: str | None = typer.Option(
        None, "--site", help="The site: a profile's name or path; by default the one of your settings, or local."
    ),
    changes: list[str] = SET_OPTION,
    output: Path | None = typer.Option(None, "-o", "--output", help="Write the script to this file."),
) -> None:
    """Print the batch script of a job, as it would be submitted at a site."""
    from hpcdl import script
    from hpcdl.job import load_job, parse_changes
    from hpcdl.points import load_points
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site

    settings = load_settings()
    overrides = parse_changes(changes)
    job = load_job(job_file, overrides)
    if job.sweep:
        load_points(job_file, overrides)  # a faulty point is found here, not hours later in the array
    text = script.render(
        job=job,
        job_file=str(job_file),
        site=load_site(site or settings.site, settings.folder("sites")),
        settings=settings,
        changes=changes or [],
    )
    write_or_print(text, output)


def write_or_print(text: str, output: Path | None) -> None:
    """Write `text` to the file that the user named, whole or not at all; print it when there is none."""
    from hpcdl.errors import HpcdlError
    from hpcdl.files import write_atomically

    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        write_atomically(output, text)
    except OSError as fault:
        raise HpcdlError(f"{output}: cannot be written ({fault.strerror}). Give a file in a folder of yours.") from None
