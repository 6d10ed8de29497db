"""Cancelling runs: only jobs that are the runs' own."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from hpcdl.errors import RunError
from hpcdl.run.find import Run
from hpcdl.run.known import keep_answer, kept_answer
from hpcdl.run.states import FINAL
from hpcdl.slurm.answers import SlurmJob
from hpcdl.slurm.client import Slurm, SlurmError


def cancel(runs: Sequence[Run], slurm: Slurm) -> Iterator[str]:
    """Cancel the jobs of runs, in one call of scancel for each cluster, and yield one line for each run.

    A job is known for a run's own by the script that Slurm was given for it: ids are used again some day.

    Raises:
        RunError: a run is no job of Slurm's.
        SlurmError: the controller does not answer, or refuses.
    """
    for run in runs:
        if run.is_local:
            raise RunError(
                f"{run.name}: runs on this machine, in no queue. Press Ctrl-C where it was started, "
                f"or kill -INT {run.record.get('pid')}."
            )
        if run.record.get("scheduler") == "pbs":
            raise RunError(f"{run.name}: went through qsub; qdel {run.job_id or 'ID'} cancels it.")
        if run.job_id is None:
            raise RunError(f"{run.name}: its job is not known; `hpcdl status {run.folder}` looks for it.")
    wanted: dict[str | None, list[Run]] = defaultdict(list)
    for run in runs:
        wanted[run.submission.cluster if run.submission else None].append(run)
    for cluster, here in wanted.items():
        queue = slurm.queue([str(run.job_id) for run in here], cluster)
        if queue is None:
            raise SlurmError("Slurm's controller does not answer; nothing was cancelled. Try again later.")
        own = [run for run in here if (job := queue.get(str(run.job_id))) and _is_own(run, job)]
        if own:
            slurm.cancel(_shortest([str(run.job_id) for run in own], queue), cluster)
            for run in own:
                if queue[str(run.job_id)].state == "PENDING":
                    # Slurm itself forgets at once a waiting task that is taken out of its array.
                    keep_answer(run.folder, SlurmJob("hpcdl cancel", str(run.job_id), "CANCELLED"))
        for run in here:
            known = queue.get(str(run.job_id)) or kept_answer(run.folder, str(run.job_id))
            yield f"{run.name}: {_told(run, known, run in own)}"


def _is_own(run: Run, job: SlurmJob) -> bool:
    return job.state not in FINAL and (run.submission is None or job.script == run.submission.script)


def _told(run: Run, job: SlurmJob | None, cancelled: bool) -> str:
    if cancelled:
        return f"job {run.job_id} cancelled"
    if job is None:
        return f"Slurm does not know job {run.job_id} any more; nothing to cancel"
    if job.state in FINAL:
        return f"job {run.job_id} has ended already ({job.state})"
    return f"job {run.job_id} is not this run's: its script is {job.script}; left alone"


def _shortest(job_ids: Sequence[str], queue: dict[str, SlurmJob]) -> list[str]:
    """Name an array by its own id where all of its tasks that have not ended are meant."""
    tasks: dict[str, set[str]] = defaultdict(set)
    for job_id in job_ids:
        tasks[job_id.partition("_")[0]].add(job_id)
    words = []
    for base, meant in tasks.items():
        alive = {name for name, job in queue.items() if name.partition("_")[0] == base and job.state not in FINAL}
        words += [base] if alive <= meant else sorted(meant)
    return words
