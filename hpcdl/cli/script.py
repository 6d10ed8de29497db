"""`hpcdl render`: from a job file to the text of its batch script."""

from pathlib import Path

import typer


def render(
    job: Path = typer.Argument(..., help="The job file (YAML)."),
    site: str = typer.Option("local", "--site", help="The site: the name of a profile, or a profile's path."),
    overrides: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Replace a value of the job file, as in train.epochs=1; repeatable."
    ),
    output: Path | None = typer.Option(None, "-o", "--output", help="Write the script to this file."),
) -> None:
    """Print the batch script of a job, as it would be submitted at a site."""
    from hpcdl import job as jobs
    from hpcdl import script, yamlfile
    from hpcdl.errors import HpcdlError, JobFileError
    from hpcdl.files import write_atomically
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site

    settings = load_settings()
    text = script.render(
        job=jobs.load_job(job, yamlfile.parse_overrides(overrides, JobFileError)),
        job_file=str(job),
        site=load_site(site, settings.folder("sites")),
        settings=settings,
        overrides=overrides,
    )
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        write_atomically(output, text)
    except OSError as fault:
        raise HpcdlError(f"{output}: cannot be written ({fault.strerror}). Give a file in a folder of yours.") from None
