"""`hpcdl check`: the pre-flight before a submit."""

from pathlib import Path

import typer

from hpcdl.cli.run import SET_OPTION


def check(
    job: Path = typer.Argument(..., metavar="JOB", help="A job file (YAML), or any batch script."),
    site: str = typer.Option(None, "--site", help="The site: the name of a profile, or a profile's path."),
    changes: list[str] = SET_OPTION,
    force: bool = typer.Option(False, "--force", help="Say what is wrong, and leave with 0 all the same."),
) -> None:
    """Say what would go wrong with a job, before it waits in the queue for it.

    Exit code: 0 when nothing stops the job, 1 when something does, 2 when a file cannot be read.
    """
    import tempfile

    from hpcdl import script
    from hpcdl.cli.lint import printable
    from hpcdl.errors import SiteError
    from hpcdl.job import load_job, parse_changes
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site
    from hpcdl.slurm.directives import load_script
    from hpcdl.slurm.preflight.check import preflight
    from hpcdl.slurm.preflight.problem import Problem

    settings = load_settings()
    profile = load_site(site, settings.folder("sites")) if site else None
    with tempfile.TemporaryDirectory() as folder:
        if job.suffix in (".yaml", ".yml"):
            profile = profile or load_site("local", settings.folder("sites"))
            wanted = load_job(job, parse_changes(changes))
            path = Path(folder) / f"{wanted.name}.sh"
            try:
                text = script.render(wanted, str(job), profile, settings, changes or [])
            except SiteError as error:
                problems = [Problem("site", str(error).rstrip("."), "change the job, or choose another site")]
            else:
                path.write_text(text)
                problems = preflight(text.encode(), path, profile) if profile.scheduler == "slurm" else []
        else:
            problems = preflight(load_script(job), job, profile)
    for problem in problems:
        place = f"{job}:{problem.line}: " if problem.line and job.suffix not in (".yaml", ".yml") else ""
        word = "error" if problem.stops else "warning"
        typer.echo(f"{place}{word}: {printable(problem.what)}\n    remedy: {printable(problem.remedy)}")
    stops = any(problem.stops for problem in problems)
    if not problems:
        typer.echo("nothing found that would go wrong")
    raise typer.Exit(1 if stops and not force else 0)
