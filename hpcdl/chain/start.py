"""Starting the stages of a chain: into the queue of a site, or one after the other on this machine.

Whatever was begun before is not begun again: each call goes on where the last one has stopped.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcdl.chain.chainfile import Condition
from hpcdl.chain.condition import Met, dependency, judge
from hpcdl.chain.folder import RANKING, ChainFolder
from hpcdl.chain.queue import read_result
from hpcdl.errors import HpcdlError, RunError
from hpcdl.job import Job
from hpcdl.run.find import find_runs
from hpcdl.run.folder import fill_run_folder
from hpcdl.run.local import MPI_SETTINGS
from hpcdl.run.states import State
from hpcdl.run.status import Status, look
from hpcdl.run.submission import read_submissions
from hpcdl.run.submit import SCRIPT_FILE, Prepared, prepare_in, submit_again
from hpcdl.run.submit import submit as give
from hpcdl.settings import Settings
from hpcdl.site import Site
from hpcdl.slurm.client import Slurm

HOPELESS = "--kill-on-invalid-dep=yes"
"""A stage whose condition can never be met is cancelled, so that the ranking, which follows all, comes all the same."""


@dataclass(frozen=True)
class Step:
    """A stage, or the ranking, as something to start."""

    name: str
    job: Job
    after: dict[str, Condition]
    queue: Path | None
    """Where its models appear; None where nobody takes them."""
    through: list[str]
    """The words of the program that starts its command, if not the batch script itself does."""


@dataclass(frozen=True)
class Place:
    """Where a chain runs."""

    site: Site
    site_file: Path
    settings: Settings


def steps(chain: ChainFolder) -> list[Step]:
    """Return all stages, each behind those that it waits for, and the ranking."""
    said, hpcdl = chain.chain, ["hpcdl", "chain", str(chain.path)]
    found = []
    for stage in said.in_order:
        queue = chain.queue / stage.name if said.taker(stage.name) else None
        through = [*hpcdl, "--take", stage.name, "--"] if stage.sources else []
        found.append(Step(stage.name, stage.whole, stage.after, queue, through))
    job = said.ranking_job.model_copy(update={"command": [*hpcdl, "--rank"]})
    everything: dict[str, Condition] = {stage.name: "ended" for stage in said.stages}
    return [*found, Step(RANKING, job, everything, None, [])]


def submit(
    chain: ChainFolder, place: Place, slurm: Slurm, stops: Callable[[Job, Path, Prepared], bool]
) -> Iterator[str]:
    """Submit all stages that are in no queue yet, all of them checked before the first, and yield a line for each.

    Args:
        stops: says what is wrong with a prepared stage, and tells whether that stops it.

    Raises:
        HpcdlError: a stage cannot run at the site; nothing was submitted.
        RunError: a check stops a stage; nothing was submitted. Or nobody knows yet whether an earlier call did.
        SlurmError: a stage was refused; those before it are in the queue.
    """
    all_steps = steps(chain)
    known = {step.name: _statuses(chain, step, slurm) for step in all_steps}
    missing = [step for step in all_steps if not known[step.name]]
    prepared = _prepare_all(chain, missing, place, stops)
    jobs = {name: [str(status.job_id) for status in statuses] for name, statuses in known.items()}
    states = {name: [status.state for status in statuses] for name, statuses in known.items()}
    anything_new = False
    try:
        for step in all_steps:
            num_runs = len(step.job.sweep.all_points()) if step.job.sweep else 1
            if step not in missing:
                more_to_do = anything_new if step.name == RANKING else _has_more_models(chain, step, known)
                if not (more_to_do and all(state.ended for state in states[step.name])):
                    yield f"{step.name}: {_ids(jobs[step.name])}, submitted before"
                    continue
                options = _options(step, jobs, states)
                submission = submit_again(chain.stage(step.name), None, None, place.site, slurm, options)
            elif judge(step.after, states) is Met.NEVER:
                jobs[step.name], states[step.name] = [], [State.CANCELLED] * num_runs
                yield f"{step.name}: not submitted, as what it waits for can never be"
                continue
            else:
                submission = give(prepared[step.name], place.site, slurm, _options(step, jobs, states))
            indices = range(num_runs) if step.job.sweep else [None]
            jobs[step.name] = [str(submission.job_of(index)) for index in indices]
            states[step.name] = [State.PENDING] * num_runs
            anything_new = True
            yield f"{step.name}: {_ids(jobs[step.name])}"
    finally:
        _forget(prepared)


def _options(step: Step, jobs: dict[str, list[str]], states: dict[str, list[State]]) -> list[str]:
    """The dependency on what has not ended: of a job that Slurm has forgotten it would take everything as met."""
    if judge(step.after, states) is Met.YES:
        return []
    open_ones = {name: kind for name, kind in step.after.items() if not all(state.ended for state in states[name])}
    return [f"--dependency={dependency(open_ones, jobs)}", HOPELESS]


def _has_more_models(chain: ChainFolder, step: Step, known: Mapping[str, Sequence[Status]]) -> bool:
    """Tell whether there is a model without a result, in the queue or on its way, for a stage that takes them."""
    stage = chain.chain.stage(step.name)
    return any(
        read_result(chain, stage, model) is None and ((chain.queue / model).is_file() or not status.state.ended)
        for source in stage.sources
        for status in known[source]
        for model in [str(Path(status.folder).relative_to(chain.path))]
    )


def _ids(jobs: Sequence[str]) -> str:
    return f"job {jobs[0]}" if len(jobs) == 1 else f"job {jobs[0].partition('_')[0]}, an array of {len(jobs)} tasks"


def _statuses(chain: ChainFolder, step: Step, slurm: Slurm) -> list[Status]:
    """Return what the runs of a stage are doing; none where it was not submitted yet, and its folder is then gone.

    Raises:
        RunError: it was submitted, and nobody knows yet whether a job came of it.
    """
    folder = chain.stage(step.name)
    statuses = look(find_runs([folder], chain.path), slurm) if read_submissions(folder) else []
    if statuses and statuses[0].state is State.SUBMITTING:
        raise RunError(
            f"{folder}: {statuses[0].cause}. Try again in five minutes: Slurm then has the job, or never got it."
        )
    if not statuses or statuses[0].job_id is None:  # what was only prepared, or never arrived
        shutil.rmtree(folder, ignore_errors=True)
        return []
    return statuses


def _prepare_all(
    chain: ChainFolder, missing: Sequence[Step], place: Place, stops: Callable[[Job, Path, Prepared], bool] | None
) -> dict[str, Prepared]:
    """Make the folders of stages and check them; if one is no good there is none."""
    prepared: dict[str, Prepared] = {}
    bad = []
    try:
        for step in missing:
            prepared[step.name] = _prepare(chain, step, place)
            if stops and stops(step.job, chain.file, prepared[step.name]):
                bad.append(step.name)
        if bad:
            raise RunError(
                f"{', '.join(bad)}: not submitted, nor any other stage. Correct what stands above, or --force."
            )
    except BaseException:
        _forget(prepared)
        raise
    return prepared


def _forget(prepared: dict[str, Prepared]) -> None:
    """Remove the folders of stages that were not submitted: the next call makes them anew."""
    for ready in prepared.values():
        if not read_submissions(ready.folder):
            shutil.rmtree(ready.folder, ignore_errors=True)


def _prepare(chain: ChainFolder, step: Step, place: Place) -> Prepared:
    folder = chain.stage(step.name)
    try:
        fill_run_folder(folder, step.job)
    except OSError as fault:
        raise RunError(f"{folder}: cannot be written ({fault.strerror}). Choose another place by --runs.") from None
    try:
        return prepare_in(
            folder,
            chain.id,
            step.job,
            chain.file,
            place.site,
            place.site_file,
            place.settings,
            queue=step.queue,
            through=step.through,
        )
    except HpcdlError as fault:
        raise type(fault)(f"stage {step.name}: {fault}") from None


def run_here(chain: ChainFolder, place: Place) -> Iterator[str]:
    """Run all stages that have not ended yet on this machine, one after the other, and yield a line for each.

    Raises:
        HpcdlError: a stage cannot run here.
    """
    states: dict[str, list[State]] = {}
    known: dict[str, list[Status]] = {}
    for step in steps(chain):
        folder = chain.stage(step.name)
        num_runs = len(step.job.sweep.all_points()) if step.job.sweep else 1
        if judge(step.after, states) is Met.NEVER:
            states[step.name] = [State.CANCELLED] * num_runs
            yield f"{step.name}: not started, as what it waits for can never be"
            continue
        known[step.name] = look(find_runs([folder], chain.path), None) if _is_ready(folder) else []
        has_ended = known[step.name] and all(status.state.ended for status in known[step.name])
        if step.name == RANKING or not has_ended or _has_more_models(chain, step, known):
            if not _is_ready(folder):
                shutil.rmtree(folder, ignore_errors=True)
                _prepare(chain, step, place)
            _run(folder, step.job)
        known[step.name] = look(find_runs([folder], chain.path), None)
        states[step.name] = [status.state for status in known[step.name]]
        yield f"{step.name}: {_counted(states[step.name])}"


def _is_ready(folder: Path) -> bool:
    return (folder / SCRIPT_FILE).is_file()


def _run(folder: Path, job: Job) -> None:
    """Run a stage's script with this hpcdl and this machine's mpirun first on the PATH; its end is in its records."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with (
        open(folder / f"{job.log_prefix}_out.local", "ab") as output,
        open(folder / f"{job.log_prefix}_err.local", "ab") as error,
    ):
        subprocess.run(
            ["bash", str(folder / SCRIPT_FILE)],
            env={**MPI_SETTINGS, **os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=error,
            check=False,
        )


def _counted(states: Sequence[State]) -> str:
    return ", ".join(f"{states.count(state)} {state.value}" for state in dict.fromkeys(states))
