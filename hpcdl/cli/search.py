"""`hpcdl search`: many trainings in generations, for the best network and recipe."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpcdl.cli.run import RUNS_OPTION, SET_OPTION, ended_by_sigterm
from hpcdl.cli.submit import FORCE_OPTION, SITE_OPTION

if TYPE_CHECKING:
    from hpcdl.job import Job
    from hpcdl.run.submit import Prepared
    from hpcdl.search.driver import Evaluator
    from hpcdl.search.plan import Plan
    from hpcdl.search.record import Record
    from hpcdl.site import Site


def search(
    job_file: Path = typer.Argument(..., metavar="JOB", help="The job file (YAML), with a `search:` section."),
    site: str | None = SITE_OPTION,
    changes: list[str] = SET_OPTION,
    runs: Path = RUNS_OPTION,
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would be trained and what it may cost."),
    wait: bool = typer.Option(True, help="Stay until the search has ended; else submit what can be, and leave."),
    interval_s: float = typer.Option(10.0, "--interval", min=0.1, help="How often to ask for the jobs, in seconds."),
    force: bool = FORCE_OPTION,
) -> None:
    """Search for the best network and recipe: one job array for each generation, within a budget.

    Without a queue the individuals train here, one after the other. The same command goes on with a search that was
    interrupted. Exit code: 0 when it has ended, 75 when it goes on with the same command, 1 when no individual counts.
    """
    from hpcdl.exits import Exit
    from hpcdl.job import parse_changes
    from hpcdl.search import driver
    from hpcdl.search.plan import in_lines, make_plan
    from hpcdl.search.record import Record, alone, begin
    from hpcdl.settings import load_settings
    from hpcdl.site import load_site

    settings = load_settings()
    profile = load_site(site or settings.site, settings.folder("sites"))
    plan = make_plan(job_file, parse_changes(changes), profile, settings)
    folder = runs / f"search-{plan.job.name}"
    for line in in_lines(plan):
        typer.echo(line)
    if dry_run:
        return
    with alone(folder):
        goes_on = begin(folder, plan.job, profile.name)
        typer.echo(f"{'Going on in' if goes_on else 'Folder'} {folder}")
        record = Record(folder, plan.search)
        evaluate = _evaluator(plan, folder, profile, site or settings.site, force, interval_s, wait)
        with ended_by_sigterm():
            try:
                ending = driver.search(plan, record, evaluate, lambda line: typer.echo(line))
            except KeyboardInterrupt:
                typer.echo("interrupted; the same command goes on", err=True)
                raise typer.Exit(Exit.STOPPED) from None
            finally:
                _write_results(record, folder)
        _show(record)
    if ending == "budget":
        typer.echo("Ended by the budget: the next generation could exceed it. The same command with more goes on.")
    if ending == "running":
        typer.echo("Still at work; the same command goes on.")
        raise typer.Exit(Exit.STOPPED)
    if not driver.best_first(record.individuals(), plan.search.objective.maximizes):
        typer.echo("error: no individual reached anything; what stands above says why.", err=True)
        raise typer.Exit(Exit.FAILED)


def _evaluator(
    plan: "Plan", folder: Path, site: "Site", name: str, force: bool, interval_s: float, wait: bool
) -> "Evaluator":
    """Return what trains the individuals: mpirun on this machine where there is no queue, else job arrays."""
    from hpcdl.cli.submit import refuse_what_stops, slurm_here
    from hpcdl.search.here import Here
    from hpcdl.search.queue import Queue
    from hpcdl.settings import load_settings
    from hpcdl.site import find_site

    if site.scheduler == "none":
        return Here(plan, folder.absolute(), typer.echo)
    settings, slurm = load_settings(), slurm_here()

    def check(job: "Job", prepared: "Prepared") -> None:
        refuse_what_stops(job, plan.job_file, prepared, site, slurm, force)

    profile = find_site(name, settings.folder("sites"))
    return Queue(
        plan, folder.absolute(), site, profile, settings, slurm, check, typer.echo, interval_s=interval_s, wait=wait
    )


def _show(record: "Record") -> None:
    """Print the tables."""
    from hpcdl.cli.collect import width
    from hpcdl.collector.formats import terminal
    from hpcdl.search import table

    known = record.individuals()
    for shown in (table.generations(record.search, known), table.best(record.search, known)):
        typer.echo(f"\n{shown.title}")
        for line in terminal.lines(shown, width()):
            typer.echo(line)


def _write_results(record: "Record", folder: Path) -> None:
    """Write the tables and the picture into the search's folder, as far as it has come."""
    from hpcdl.cli.collect import warn
    from hpcdl.collector.formats import writer
    from hpcdl.errors import CollectError, RunError
    from hpcdl.files import write_atomically
    from hpcdl.report.lineage import Node, lineage_files
    from hpcdl.search import table

    search, known = record.search, [one for one in record.individuals() if one.result]
    if not known:
        return
    whole = {"individuals": table.individuals(search, known), "generations": table.generations(search, known)}
    metric = search.objective.metric.replace("_", " ")
    nodes = [Node(one.number, one.generation + 1, one.fitness, one.parents) for one in known]
    try:
        for name, made in whole.items():
            for format_ in ("csv", "json"):
                write_atomically(folder / f"{name}.{format_}", writer(format_)(made))
        for file, data in lineage_files(nodes, metric, search.objective.maximizes):
            write_atomically(folder / file, data)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror}).") from None
    except CollectError as error:
        warn(str(error))
