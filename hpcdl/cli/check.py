"""`hpcdl check`: the pre-flight before a submit."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpcdl.cli.run import SET_OPTION

if TYPE_CHECKING:
    from hpcdl.slurm.preflight.problem import Problem


def check(
    job: Path = typer.Argument(..., metavar="JOB", help="A job file (YAML), or any batch script."),
    site: str | None = typer.Option(
        None, "--site", help="The site: a profile's name or path; for a job file by default the one of your settings."
    ),
    changes: list[str] = SET_OPTION,
    force: bool = typer.Option(False, "--force", help="Say what is wrong, and leave with 0 all the same."),
) -> None:
    """Say what would go wrong with a job, before it waits in the queue for it.

    Exit code: 0 when nothing stops the job, 1 when something does, 2 when a file cannot be read.
    """
    is_job_file = job.suffix in (".yaml", ".yml")
    problems = _of_job(job, site, changes or []) if is_job_file else _of_script(job, site)
    show(problems, None if is_job_file else job)
    if not problems:
        typer.echo("nothing found that would go wrong")
    raise typer.Exit(1 if any(problem.stops for problem in problems) and not force else 0)


def show(problems: "Iterable[Problem]", script: Path | None = None, err: bool = False) -> None:
    """Print what is wrong and the remedy.

    Args:
        script: the user's own script, whose lines are named.
        err: to standard error.
    """
    from hpcdl.cli.lint import printable

    for problem in problems:
        place = f"{script}:{problem.line}: " if problem.line and script else ""
        word = "error" if problem.stops else "warning"
        typer.echo(f"{place}{word}: {printable(problem.what)}\n    remedy: {printable(problem.remedy)}", err=err)


def _of_script(path: Path, site: str | None):  # type: ignore[no-untyped-def]
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site
    from hpcdl.slurm.directives import load_script
    from hpcdl.slurm.preflight.check import preflight

    profile = load_site(site, load_settings().folder("sites")) if site else None
    return preflight(load_script(path), path, profile)


def _of_job(job_file: Path, site: str | None, changes: list[str]):  # type: ignore[no-untyped-def]
    import tempfile

    from hpcdl import script
    from hpcdl.errors import SiteError
    from hpcdl.job import load_job, parse_changes
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site
    from hpcdl.slurm.preflight.check import preflight
    from hpcdl.slurm.preflight.data import check_data
    from hpcdl.slurm.preflight.problem import Problem

    settings = load_settings()
    profile = load_site(site or settings.site, settings.folder("sites"))
    job = load_job(job_file, parse_changes(changes))
    try:
        text = script.render(job, str(job_file), profile, settings, changes)
    except SiteError as error:
        return [Problem("site", str(error).rstrip("."), "change the job, or choose another site")]
    data = list(check_data(job, profile))
    if profile.scheduler != "slurm":
        return data  # no sbatch reads the script
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{job.name}.sh"
        path.write_text(text)
        return [*preflight(text.encode(), path, profile), *data]
