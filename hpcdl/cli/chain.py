"""`hpcdl chain`: several jobs on several modules, models handed on between them, and a ranking."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpcdl.cli.run import RUNS_OPTION, ended_by_sigterm
from hpcdl.cli.submit import FORCE_OPTION, SITE_OPTION

if TYPE_CHECKING:
    from hpcdl.chain.folder import ChainFolder


class Format(str, Enum):
    """How the ranking is printed."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


def chain(
    path: Path = typer.Argument(..., metavar="CHAIN", help="A chain file (YAML), or the folder of a chain."),
    command: list[str] = typer.Argument(None, metavar="", hidden=True),
    site: str | None = SITE_OPTION,
    runs: Path = RUNS_OPTION,
    new: bool = typer.Option(False, "--new", help="Begin anew, although this very chain was begun before."),
    force: bool = FORCE_OPTION,
    format_: Format = typer.Option(Format.table, "--format", help="How the ranking of a folder is printed."),
    take: str | None = typer.Option(None, "--take", metavar="STAGE", hidden=True),
    rank: bool = typer.Option(False, "--rank", hidden=True),
) -> None:
    """Start a chain of jobs, or go on with it; of a folder print the ranking as it stands.

    Exit code: 0 when all is in the queue (without a queue: has run), 1 when a check or the scheduler stopped a stage, 2
    when a file is wrong.
    """
    from hpcdl.chain.folder import read_chain_folder
    from hpcdl.chain.queue import take_all
    from hpcdl.errors import HpcdlError
    from hpcdl.slurm.client import Slurm

    if take is not None:  # what the batch script of a stage that takes models starts
        found = read_chain_folder(path)
        stage = found.chain.stage(take)
        take_all(found, stage, command or [], Slurm(waits_s=()), lambda line: typer.echo(line))
        return
    if command:
        raise HpcdlError(f"chain: one file or folder at a time; {' '.join(command)} is too much.")
    if rank:
        _rank(read_chain_folder(path))
    elif path.is_dir():
        _print_ranking(read_chain_folder(path), format_)
    else:
        _start(path, site, runs, new, force)


def _start(file: Path, site: str | None, runs: Path, new: bool, force: bool) -> None:
    import shutil

    from hpcdl.chain import local, submit
    from hpcdl.chain.chainfile import load_chain
    from hpcdl.chain.folder import alone, find_chain_folder, make_chain_folder
    from hpcdl.chain.steps import Place
    from hpcdl.cli.submit import stops
    from hpcdl.errors import SiteError
    from hpcdl.settings import load_settings
    from hpcdl.site import find_site, load_site
    from hpcdl.slurm.client import Slurm

    settings = load_settings()
    own, name = settings.folder("sites"), site or settings.site
    place = Place(load_site(name, own), find_site(name, own), settings)
    if place.site.scheduler == "pbs":
        raise SiteError(
            f"site {name} takes jobs through qsub, and a chain needs Slurm's dependencies. Name another site."
        )
    loaded = load_chain(file)
    slurm = Slurm(tell=lambda text: typer.echo(f"note: {text}", err=True))
    with alone(runs), ended_by_sigterm():
        known = None if new else find_chain_folder(loaded, name, runs)
        chain = known or make_chain_folder(loaded, file, name, runs)
        shown = runs / chain.path.name
        try:
            if place.site.scheduler == "none":
                lines = local.run(chain, place)
            else:
                lines = submit.submit(
                    chain,
                    place,
                    slurm,
                    lambda job, path, ready: (
                        stops(job, path, ready.script, ready.text, place.site, slurm) and not force
                    ),
                )
            for number, line in enumerate(lines):
                if number == 0:  # not before all stages were found good
                    typer.echo(f"Chain {shown}{', begun before' if known else ''}")
                typer.echo(f"  {line}")
        except BaseException:
            if not any(chain.path.glob("*/submissions.json")) and not any(chain.path.glob("*/attempts")):
                shutil.rmtree(chain.path)  # nothing of it was begun
            raise
    if place.site.scheduler == "none":
        _print_ranking(chain, Format.table)
    else:
        typer.echo(f"Next  hpcdl watch {shown}\n      hpcdl chain {shown}\n      hpcdl cancel {shown}")


def _print_ranking(chain: "ChainFolder", format_: Format) -> None:
    from hpcdl.chain.ranking import rank, read_models, table
    from hpcdl.collector.formats import writer
    from hpcdl.slurm.client import Slurm

    slurm = Slurm(waits_s=(1, 3), tell=lambda text: typer.echo(f"note: {text}", err=True))
    asked = chain.chain.ranking
    made = table(rank(read_models(chain, slurm), asked), asked)
    typer.echo(writer(format_.value)(made), nl=False)


def _rank(chain: "ChainFolder") -> None:
    """Write the ranking into the chain's folder, print it, and discard what is to be discarded."""
    from hpcdl.chain.ranking import discard, rank, read_models, table
    from hpcdl.collector.formats import writer
    from hpcdl.errors import RunError
    from hpcdl.files import write_atomically
    from hpcdl.slurm.client import Slurm

    asked = chain.chain.ranking
    models = rank(read_models(chain, Slurm(waits_s=(1, 3))), asked)
    made = table(models, asked)
    for name in ("csv", "json"):
        file = chain.path / f"ranking.{name}"
        try:
            write_atomically(file, writer(name)(made))
        except OSError as fault:
            raise RunError(f"{file}: cannot be written ({fault.strerror}).") from None
    typer.echo(writer("table")(made), nl=False)
    for removed in discard(models) if asked.remove_discarded else ():
        typer.echo(f"removed {removed.relative_to(chain.path)}")
