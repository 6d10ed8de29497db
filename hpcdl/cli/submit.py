"""`hpcdl submit`, `rerun` and `cancel`: a job into the queue, again, and out of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpcdl.cli.complete import run_folders, site_names
from hpcdl.cli.run import RUNS_OPTION, SET_OPTION

if TYPE_CHECKING:
    from hpcdl.job import Job
    from hpcdl.run.submit import Prepared
    from hpcdl.site import Site
    from hpcdl.slurm.client import Slurm

SITE_OPTION = typer.Option(
    None,
    "--site",
    autocompletion=site_names,
    help="The site: a profile's name or path; by default the one of your settings.",
)
FORCE_OPTION = typer.Option(False, "--force", help="Submit in spite of what the check before it says.")
WAIT_OPTION = typer.Option(False, "--wait", help="Stay and watch until it has ended; 0 then means COMPLETED.")


def submit(
    job_file: Path | None = typer.Argument(None, metavar="JOB", help="The job file (YAML)."),
    site: str | None = SITE_OPTION,
    changes: list[str] = SET_OPTION,
    runs: Path = RUNS_OPTION,
    dependency: list[str] = typer.Option(
        None, "--dependency", metavar="KIND:JOB", help="As in sbatch; JOB may be a run's folder: afterok:runs/a-1."
    ),
    failed_only: Path | None = typer.Option(
        None,
        "--failed-only",
        metavar="RUN",
        help="Submit again what has ended and is not COMPLETED in this run or array: same folder, same script.",
        autocompletion=run_folders,
    ),
    force: bool = FORCE_OPTION,
    wait: bool = WAIT_OPTION,
) -> None:
    """Submit a job: checked, with a folder of its own, and exactly once.

    Exit code: 0 when it is in the queue, 1 when the check or the scheduler stopped it, 2 when a file is wrong.
    """
    from hpcdl.errors import HpcdlError
    from hpcdl.job import load_job, parse_changes
    from hpcdl.points import load_points
    from hpcdl.settings import load_settings

    if (job_file is None) == (failed_only is None):
        raise HpcdlError("submit what? Give a job file, or --failed-only and the folder of a run.")
    if failed_only is not None:
        if changes or dependency or site:
            raise HpcdlError("--failed-only takes the run's own script: leave out --set, --site and --dependency.")
        _submit_failed(failed_only, wait)
        return
    assert job_file is not None
    overrides = parse_changes(changes)
    job = load_job(job_file, overrides)
    if job.sweep:
        load_points(job_file, overrides)  # a faulty point is found here, not hours later in the array
    _submit(job, job_file, site or load_settings().site, runs, dependency or [], force, wait)


def rerun(
    run: Path = typer.Argument(..., metavar="RUN", help="The folder of a run or an array.", autocompletion=run_folders),
    site: str | None = SITE_OPTION,
    changes: list[str] = SET_OPTION,
    runs: Path = RUNS_OPTION,
    force: bool = FORCE_OPTION,
    wait: bool = WAIT_OPTION,
) -> None:
    """Do a run again from its record: same job, same site, a new folder. What differs from then is told."""
    from hpcdl.errors import HpcdlError
    from hpcdl.job import load_job, parse_changes
    from hpcdl.run import record
    from hpcdl.run.folder import JOB_FILE
    from hpcdl.run.submit import differences, job_of
    from hpcdl.settings import load_settings
    from hpcdl.site import find_site

    job_of(run)
    job_file = run / JOB_FILE
    job = load_job(job_file, parse_changes(changes))
    try:
        is_array = (run / record.ARRAY_FILE).is_file()
        known = record.read(run, record.ARRAY_FILE if is_array else record.RECORD_FILE)
    except (OSError, ValueError):
        raise HpcdlError(f"{run}: has no readable record. Submit its {JOB_FILE} instead.") from None
    made_at = (known.get("submitted") or {}).get("site")
    name = site or made_at
    profile = find_site(name, load_settings().folder("sites")).read_bytes() if name else b""
    for difference in differences(known, profile if name == made_at else None):
        typer.echo(f"note: {difference}", err=True)
    if name is None and known.get("scheduler") != "local":
        raise HpcdlError(f"{run}: its record names no site; give one by --site.")
    if name is None:
        from hpcdl.cli.run import follow
        from hpcdl.run.local import LocalRun

        follow(LocalRun.create(job, job_file, known.get("ranks") or job.resources.ranks, runs))
        return
    _submit(job, job_file, name, runs, [], force, wait)


def cancel(
    names: list[str] = typer.Argument(
        ..., metavar="RUN", help="Folders of runs or arrays, or job ids; a task is ARRAY/INDEX or ID_INDEX."
    ),
    runs: Path = RUNS_OPTION,
) -> None:
    """Cancel runs, waiting or running. A job id that belongs to something else by now is left alone."""
    from hpcdl.run.cancel import cancel as cancel_runs
    from hpcdl.run.find import find_runs

    for line in cancel_runs(find_runs(names, runs), slurm_here()):
        typer.echo(line)


def _submit(
    job: "Job", job_file: Path, site_name: str, runs: Path, dependency: list[str], force: bool, wait: bool
) -> None:
    from hpcdl.errors import SiteError
    from hpcdl.run.dependency import check_dependency
    from hpcdl.run.submit import prepare
    from hpcdl.run.submit import submit as give
    from hpcdl.settings import load_settings
    from hpcdl.site import find_site, load_site

    settings = load_settings()
    own = settings.folder("sites")
    profile = load_site(site_name, own)
    if profile.scheduler == "none":
        raise SiteError(
            f"site {profile.name} has no queue: hpcdl run {job_file} starts the job here; or name a --site."
        )
    slurm = slurm_here()
    asked, warnings = check_dependency(dependency, slurm)
    for warning in warnings:
        typer.echo(f"warning: --dependency: {warning}", err=True)
    prepared = prepare(job, job_file, profile, find_site(site_name, own), settings, runs, asked or None)
    refuse_what_stops(job, job_file, prepared, profile, slurm, force)
    submission = give(prepared, profile, slurm)
    shown = Path(prepared.folder.name) if runs == Path() else runs / prepared.folder.name
    num_tasks = len(job.sweep.all_points()) if job.sweep else None
    _tell(str(submission.job_id), num_tasks, shown, slurm)
    if wait:
        _watch(prepared.folder)


def refuse_what_stops(
    job: "Job", job_file: Path, prepared: "Prepared", site: "Site", slurm: "Slurm", force: bool
) -> None:
    """Run the pre-flight of a run and print what it finds; leave, and nothing of the run, if that stops the job."""
    import shutil

    if stops(job, job_file, prepared.script, prepared.text, site, slurm) and not force:
        shutil.rmtree(prepared.folder)
        typer.echo("error: not submitted. Correct what stands above, or go on with --force.", err=True)
        raise typer.Exit(1)


def stops(job: "Job", job_file: Path, path: Path, text: str, site: "Site", slurm: "Slurm") -> bool:
    """Run the pre-flight, print what it finds, and tell whether it stops the job."""
    from hpcdl.cli.check import show
    from hpcdl.slurm.client import clean_environment
    from hpcdl.slurm.preflight.check import preflight
    from hpcdl.slurm.preflight.data import check_data
    from hpcdl.slurm.preflight.network import check_network

    environment, _ = clean_environment(slurm.environ)
    problems = [*check_data(job, site), *check_network(job, job_file)]
    if site.scheduler == "slurm":
        problems = [*preflight(text.encode(), path, site, environment), *problems]
    show(problems, err=True)
    return any(problem.stops for problem in problems)


def _submit_failed(run: Path, wait: bool) -> None:
    """Submit again what failed of a run or an array, into the same folders."""
    from hpcdl.errors import HpcdlError
    from hpcdl.run import record
    from hpcdl.run.find import find_runs
    from hpcdl.run.states import State
    from hpcdl.run.status import look
    from hpcdl.run.submission import array_index
    from hpcdl.run.submit import job_of, submit_again
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site

    folder = run.absolute()
    is_array = (folder / record.ARRAY_FILE).is_file()
    if not is_array and array_index(folder) is not None:
        raise HpcdlError(f"{run}: is a task of an array; give the array's folder, {run.parent}.")
    known = record.read(folder, record.ARRAY_FILE) if is_array else find_runs([folder], folder)[0].record
    name = (known.get("submitted") or {}).get("site")
    if name is None:
        raise HpcdlError(
            f"{run}: was not made by hpcdl submit. `hpcdl resume {run}` goes on with a run of this machine."
        )
    slurm = slurm_here()
    statuses = look(find_runs([folder], folder), slurm)
    open_ones = [status for status in statuses if not status.state.ended]
    failed = [status for status in statuses if status.state.ended and status.state is not State.COMPLETED]
    for status in open_ones:
        typer.echo(f"{status.run}: {status.state.value}, left alone", err=True)
    if not failed:
        raise HpcdlError(f"{run}: nothing of it has failed; nothing was submitted.")
    indices = [int(Path(status.folder).name) for status in failed] if is_array else None
    throttle = job_of(folder).sweep.throttle if is_array else None  # type: ignore[union-attr]
    submission = submit_again(folder, indices, throttle, load_site(name, load_settings().folder("sites")), slurm)
    _tell(str(submission.job_id), len(indices) if indices else None, run, slurm)
    if wait:
        _watch(folder)


def _tell(job_id: str, num_tasks: int | None, folder: Path, slurm: "Slurm") -> None:
    tasks = f", an array of {num_tasks} task{'s' * (num_tasks != 1)}" if num_tasks else ""
    typer.echo(f"Submitted job {job_id}{tasks}")
    typer.echo(f"Run folder  {folder}")
    if slurm.dropped:
        typer.echo(f"Not handed on, as they belong to another job or beat the script: {', '.join(slurm.dropped)}")
    for word, command in zip(("Next", "", ""), ("watch", "logs -f", "cancel"), strict=True):
        typer.echo(f"{word:11} hpcdl {command} {folder}")


def _watch(folder: Path) -> None:
    from hpcdl.cli.status import watch

    watch([str(folder)], folder.parent, 10.0)


def slurm_here() -> "Slurm":
    from hpcdl.slurm.client import Slurm

    return Slurm(tell=lambda text: typer.echo(f"note: {text}", err=True))
