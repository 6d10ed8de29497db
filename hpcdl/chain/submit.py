"""The stages of a chain into a site's queue, each with its dependency on others, and none of them twice."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hpcdl.chain.condition import Met, dependency, judge
from hpcdl.chain.folder import RANKING, ChainFolder
from hpcdl.chain.steps import Place, Step, has_more_models, prepare, steps
from hpcdl.errors import RunError
from hpcdl.job import Job
from hpcdl.run.find import find_runs
from hpcdl.run.states import State
from hpcdl.run.status import Status, look
from hpcdl.run.submission import read_submissions
from hpcdl.run.submit import Prepared, submit_again
from hpcdl.run.submit import submit as give
from hpcdl.slurm.client import Slurm, SlurmError

HOPELESS = "--kill-on-invalid-dep=yes"
"""A stage whose condition can never be met is cancelled, so that the ranking, which follows all, comes all the same."""

Stops = Callable[[Job, Path, Prepared], bool]
"""Says what is wrong with a stage's job of a chain file, prepared, and tells whether that stops it."""


def submit(chain: ChainFolder, place: Place, slurm: Slurm, stops: Stops) -> Iterator[str]:
    """Submit all stages that are in no queue yet, all of them checked before the first, and yield a line for each.

    One that takes models, and has ended before it came to all, is submitted again; after it the ranking too.

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
                more_to_do = anything_new if step.name == RANKING else has_more_models(chain, step, known)
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
    except SlurmError as fault:
        rest = " What stands above is in the queue; the same command goes on with the rest." if anything_new else ""
        raise type(fault)(f"stage {step.name}: {fault}{rest}") from None
    finally:
        _forget(prepared)


def _options(step: Step, jobs: dict[str, list[str]], states: dict[str, list[State]]) -> list[str]:
    """The dependency on what has not ended: of a job that Slurm has forgotten it would take everything as met."""
    if judge(step.after, states) is Met.YES:
        return []
    open_ones = {name: kind for name, kind in step.after.items() if not all(state.ended for state in states[name])}
    return [f"--dependency={dependency(open_ones, jobs)}", HOPELESS]


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


def _prepare_all(chain: ChainFolder, missing: Sequence[Step], place: Place, stops: Stops) -> dict[str, Prepared]:
    """Make the folders of stages and check them; if one is no good there is none."""
    prepared: dict[str, Prepared] = {}
    bad = []
    try:
        for step in missing:
            prepared[step.name] = prepare(chain, step, place)
            if stops(step.job, chain.file, prepared[step.name]):
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
