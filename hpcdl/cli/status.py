"""`hpcdl status`, `watch` and `logs`: what runs are doing."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpcdl.cli.complete import run_folders
from hpcdl.cli.run import RUNS_OPTION

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpcdl.run.status import Status

NAMES = typer.Argument(
    None,
    metavar="RUN",
    help="Folders of runs or arrays, folders of runs, or job ids; by default all of --runs.",
    autocompletion=run_folders,
)
COLOURS = {"COMPLETED": "green", "RUNNING": "cyan", "PENDING": "yellow", "REQUEUED": "yellow", "UNKNOWN": "magenta"}
"""By state; others that have ended are red."""
PATIENCE_S = (1, 3)
"""Seconds between tries to reach the controller: what is known is shown soon, whether it answers or not."""


def status(
    names: list[str] = NAMES,
    runs: Path = RUNS_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print everything that is known, as JSON."),
    offline: bool = typer.Option(False, "--offline", help="Ask no scheduler: what the folders tell."),
) -> None:
    """Print what runs are doing, and why those that failed did, with the next step. Exit code 0 whatever they do."""
    import json

    from hpcdl.run.find import find_runs
    from hpcdl.run.status import look

    statuses = look(find_runs(names or [runs], runs), None if offline else _slurm())
    if as_json:
        typer.echo(json.dumps([status.as_dict() for status in statuses], indent=2))
        return
    console = _console()
    console.print(_table(statuses))
    for status in statuses:
        for line in _remarks(status):
            console.print(line, markup=False)


def watch(
    names: list[str] = NAMES,
    runs: Path = RUNS_OPTION,
    interval_s: float = typer.Option(10.0, "--interval", min=1.0, help="Seconds between two looks."),
) -> None:
    """Show what runs are doing until all have ended. Exit code: 0 when all of them are COMPLETED, else 1."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from hpcdl.run.find import find_runs
    from hpcdl.run.follow import watch as follow
    from hpcdl.run.states import State

    console = _console()
    looks = follow(find_runs(names or [runs], runs), _slurm(), interval_s)
    statuses: list[Status] = []
    try:
        if console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                for statuses in looks:
                    remarks = [Text(line) for status in statuses for line in _remarks(status)]
                    live.update(Group(_table(statuses), *remarks), refresh=True)
        else:
            told: dict[str, str] = {}
            for statuses in looks:
                for status in statuses:
                    line = _line(status)
                    if told.get(status.run) != line:
                        told[status.run] = line
                        typer.echo(line)
    except KeyboardInterrupt:
        typer.echo("Not watched any more; the jobs go on.", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(0 if all(status.state is State.COMPLETED for status in statuses) else 1)


def logs(
    names: list[str] = typer.Argument(
        ..., metavar="RUN", help="Folders of runs or arrays, or job ids.", autocompletion=run_folders
    ),
    follow: bool = typer.Option(False, "-f", "--follow", help="Stay until the runs have ended."),
    error: bool = typer.Option(False, "--err", help="Standard error instead of standard output."),
    runs: Path = RUNS_OPTION,
) -> None:
    """Print the logs of runs; the tasks of an array with their index before each line."""
    from hpcdl.run.find import find_runs
    from hpcdl.run.follow import lines

    chosen = find_runs(names, runs)
    found = False
    try:
        for run, line in lines(chosen, "err" if error else "out", follow, _slurm() if follow else None):
            found = True
            typer.echo(f"{run.folder.name}: {line}" if len(chosen) > 1 else line)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if not found:
        other = "without --err" if error else "with --err"
        typer.echo(f"no line in this log; the other one: {other}", err=True)


def _table(statuses: "list[Status]") -> "RenderableType":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold", min_width=12)
    table.add_column("job", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("time/limit", justify="right", no_wrap=True)
    optional = {"tries": _tries, "progress": _progress, "images/s": _rate}
    shown = {name: cell for name, cell in optional.items() if any(cell(status) for status in statuses)}
    for name in shown:
        table.add_column(name, overflow="fold", justify="left" if name == "progress" else "right")
    for status in statuses:
        state = status.state.value
        colour = COLOURS.get(state, "red" if status.state.ended else "")
        time = Text(f"{_clock(status.elapsed_s)}/{_clock(status.limit_s)}")
        more = (Text(cell(status)) for cell in shown.values())
        table.add_row(Text(status.run), Text(status.job_id or ""), Text(state, colour), time, *more)
    return table


def _tries(status: "Status") -> str:
    return str(status.attempts) if status.attempts > 1 else ""


def _rate(status: "Status") -> str:
    return f"{status.images_per_s:,.0f}" if status.images_per_s else ""


def _remarks(status: "Status") -> list[str]:
    """What does not fit into the table: why it waits or failed, and what to do."""
    from hpcdl.collector.table import harmless
    from hpcdl.run.states import State

    if status.state in (State.COMPLETED, State.RUNNING) or not (status.cause or status.next_step):
        return []
    lines = [status.cause] if status.cause else []
    if status.expected_start:
        lines[-1:] = [f"{lines[-1]}; expected to start {status.expected_start.replace('T', ' ')}" if lines else ""]
    if status.state.ended and status.evidence:
        lines.append(f"evidence: {status.evidence}")
    if status.next_step:
        lines.append(f"next: {status.next_step}")
    return [f"{status.run}: {harmless(lines[0])}", *(f"    {harmless(line)}" for line in lines[1:])] if lines else []


def _line(status: "Status") -> str:
    """One line for a log: it is printed when it changes, so nothing in it counts seconds."""
    from hpcdl.collector.table import harmless

    epoch = f", epoch {status.epoch}/{status.epochs}" if status.epochs and status.epoch is not None else ""
    cause = f": {status.cause}" if status.cause else ""
    job = f" job {status.job_id}" if status.job_id else ""
    return harmless(f"{status.run}{job} {status.state.value}{epoch}{cause}")


def _progress(status: "Status") -> str:
    parts = []
    if status.epoch is not None and status.epochs:
        parts.append(f"epoch {status.epoch}/{status.epochs}")
    if status.step and status.steps and not status.state.ended:
        parts.append(f"step {status.step}/{status.steps}")
    return " ".join(parts)


def _clock(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _console():  # type: ignore[no-untyped-def]
    import os

    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 500  # a file or a pipe has no width: nothing is cut or folded
    return console


def _slurm():  # type: ignore[no-untyped-def]
    from hpcdl.slurm.client import Slurm

    return Slurm(waits_s=PATIENCE_S, tell=lambda text: typer.echo(f"note: {text}", err=True))
