"""`hpcdl run`, `hpcdl train`: training on this machine, and what a batch script starts on each rank."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcdl.run.local import LocalRun

TRAINING_VARIABLES = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow's start-up notices are no news to the reader of mnist_err
    # A rank that is alive but never comes: said after a minute, ended after five (Horovod's default is never). One that
    # does not answer at all is noticed by hpcdl.train.heartbeat.
    "HOROVOD_STALL_CHECK_TIME_SECONDS": "60",
    "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "300",
    # Horovod's thread waits for the other ranks in MPI, and Open MPI waits by spinning: without this it takes its core
    # from the thread that computes (docs/profile.md). Other MPIs do not read it.
    "OMPI_MCA_mpi_yield_when_idle": "1",
}
"""Set for each rank, where the user has not set them, before TensorFlow and Horovod are imported."""

SET_OPTION = typer.Option(None, "--set", metavar="KEY=VALUE", help="Replace a value of the job: train.epochs=1.")
POINT_OPTION = typer.Option(None, "--point", min=0, help="The point of the job's sweep; hpcdl plan shows them.")
RUNS_OPTION = typer.Option(Path("runs"), "--runs", help="The folder of all runs.")


def run(
    job_file: Path = typer.Argument(..., metavar="JOB", help="The job file (YAML)."),
    num_ranks: int | None = typer.Option(
        None, "-n", "--ranks", min=1, help="MPI ranks; the job's own number if absent."
    ),
    changes: list[str] = SET_OPTION,
    point: int | None = POINT_OPTION,
    runs: Path = RUNS_OPTION,
    fallback: str | None = typer.Option(
        None,
        "--fallback-data",
        help="The data set to take, with a notice, when the job's is neither here nor to be had.",
    ),
) -> None:
    """Train a job on this machine with mpirun."""
    import sys

    from hpcdl.errors import DataError
    from hpcdl.job import load_job, parse_changes
    from hpcdl.points import choose_point
    from hpcdl.run.local import LocalRun
    from hpcdl.train.data import prepare
    from hpcdl.train.data.weights import find_weights

    overrides = choose_point(job_file, parse_changes(changes), point)
    job = load_job(job_file, overrides)
    try:
        prepare(job.training.data)
    except DataError as error:
        if not fallback:
            raise
        print(
            f"{'!' * 80}\n{error}\nTRAINING ON '{fallback}' INSTEAD: no result of {job.name}.\n{'!' * 80}",
            file=sys.stderr,
        )
        overrides |= {"train.data": fallback, "name": f"{job.name}-on-{fallback}", "expect": {}}
        job = load_job(job_file, overrides)
        prepare(job.training.data)
    if job.training.transfer:
        find_weights(job.training.transfer.weights)  # says what is missing before anything is made
    follow(LocalRun.create(job, job_file, num_ranks or job.resources.ranks, runs))


def resume(
    folder: Path = typer.Argument(..., metavar="RUN", help="The folder of the run."),
    num_ranks: int | None = typer.Option(
        None, "-n", "--ranks", min=1, help="MPI ranks; the run's own number if absent."
    ),
) -> None:
    """Go on with a run on this machine that did not finish, from its newest checkpoint."""
    from hpcdl.run.local import LocalRun

    follow(LocalRun.resume(folder, num_ranks))


def train(
    job_file: Path = typer.Argument(..., metavar="JOB", help="The job file (YAML)."),
    changes: list[str] = SET_OPTION,
    point: int | None = POINT_OPTION,
    runs: Path = RUNS_OPTION,
) -> None:
    """Train as one rank of a run: what srun or mpirun starts on every rank."""
    os.environ.update({name: value for name, value in TRAINING_VARIABLES.items() if name not in os.environ})
    from hpcdl.train.imports import import_tensorflow
    from hpcdl.train.quiet import without_notices

    with without_notices():
        import_tensorflow()
        from hpcdl.train.start import start
        from hpcdl.train.world import run_and_exit
    run_and_exit(start, job_file, changes, point, runs)


@contextmanager
def ended_by_sigterm() -> "Iterator[None]":
    """Take SIGTERM, which a scheduler sends at the time limit, like Ctrl-C: what trains here is ended in order."""
    import signal

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def follow(local: "LocalRun") -> None:
    """Start a run and print what it says, on a terminal with a progress bar below; leave with its exit code."""
    import json
    import sys
    from contextlib import closing

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    print(f"Run {local.folder}")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[steps]}"))
    progress = Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    )
    with ended_by_sigterm(), closing(local.follow()) as lines, progress as bar:
        task = bar.add_task("starting", total=None, steps="")
        for line in lines:
            if line.source == "output":
                bar.console.print(line.text) if console.is_terminal else print(line.text, flush=True)
            elif line.source == "error":
                print(line.text, file=sys.stderr, flush=True)
            elif '"progress"' in line.text:
                event = json.loads(line.text)
                bar.update(
                    task,
                    completed=event["step"],
                    total=event["steps"],
                    steps=f"{event['step']}/{event['steps']} steps",
                    description=f"epoch {event['epoch']}  loss {event['loss']:.4f}  "
                    f"{event['images_per_s']:.0f} images/s",
                )
    if local.exit_code:
        print(f"error: the run failed with exit code {local.exit_code}; see {local.error}", file=sys.stderr)
        raise typer.Exit(local.exit_code)
