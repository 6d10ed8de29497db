"""What runs are doing: their folders, and one question to Slurm about all of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hpcdl import runlog, values
from hpcdl.collector.row import Row
from hpcdl.collector.runfolder import SLURM, read_run_folder
from hpcdl.run.attempts import read_attempts
from hpcdl.run.find import Run, read_run
from hpcdl.run.known import keep_answer, known_facts
from hpcdl.run.states import ACTIVE, FINAL, Facts, State, Verdict, never_arrived, submitting
from hpcdl.run.submission import array_index, set_job
from hpcdl.slurm.answers import SlurmJob
from hpcdl.slurm.client import Slurm

FROM_OUTCOME = {
    "completed": State.COMPLETED,
    "running": State.RUNNING,
    "time_limit": State.TIMEOUT,
    "oom_host": State.OUT_OF_MEMORY,
    "memory_limit": State.OUT_OF_MEMORY,
    "node_failure": State.NODE_FAIL,
    "preempted": State.PREEMPTED,
    "cancelled": State.CANCELLED,
    "launch_failure": State.LAUNCH_FAILED,
    "incomplete": State.LOST,
    "unknown": State.UNKNOWN,
}
"""The state of a run of this machine, or of one whose log knows more than Slurm: FAILED unless it stands here."""

TAIL_BYTES = 65536
"""Of metrics.jsonl; the last event is in it."""
DOUBT_S = 300
"""For so long `hpcdl submit` may still be at work on a submission: its tries and waits together."""
MOST_SHOWN = 20
"""Jobs that scontrol is asked about one by one, where there is no accounting."""


@dataclass(frozen=True)
class Status:
    """What a run is doing. Unknown is None; times are seconds."""

    run: str
    folder: str
    job_id: str | None
    state: State
    cause: str | None
    evidence: str | None
    next_step: str | None
    expected_start: str | None
    """Of a job that waits: the cluster's local time, ISO 8601."""
    elapsed_s: int | None
    limit_s: int | None
    attempts: int
    """How often the scheduler started it, as far as its script wrote that down."""
    epoch: int | None
    epochs: int | None
    step: int | None
    steps: int | None
    images_per_s: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "state": self.state.value}


def look(runs: Sequence[Run], slurm: Slurm | None) -> list[Status]:
    """Return what runs are doing, in one call of squeue and at most one of sacct, however many there are.

    Where jobs lie on several clusters it is one call for each. What Slurm says of an end is kept in the run's folder.

    Args:
        slurm: None: nobody is asked.
    """
    runs, never = _found_again(runs, slurm)
    facts = {run.folder: known_facts(run.folder, run.record) or (Facts() if run.job_id else None) for run in runs}
    if slurm:
        clusters = {run.submission.cluster if run.submission else None for run in runs if run.job_id}
        for cluster in clusters:
            here = [run for run in runs if run.job_id and _cluster(run) == cluster and _is_open(facts[run.folder])]
            _ask(here, cluster, slurm, facts)
    return [_status(run, facts[run.folder], run.folder in never) for run in runs]


def _cluster(run: Run) -> str | None:
    return run.submission.cluster if run.submission else None


def _is_open(facts: Facts | None) -> bool:
    """Whether Slurm may have more to say: it has not said yet how the job ended."""
    return facts is not None and not (facts.sacct and facts.sacct.state in FINAL)


def _ask(runs: Sequence[Run], cluster: str | None, slurm: Slurm, facts: dict[Path, Facts | None]) -> None:
    """Add Slurm's answers to the facts of runs, and keep what is final."""
    ids = [run.job_id for run in runs if run.job_id]
    queue = slurm.queue(ids, cluster) if ids else {}
    gone = [job_id for job_id in ids if not (queue and job_id in queue and queue[job_id].state in ACTIVE)]
    accounting = slurm.accounting(gone, cluster) if gone else {}
    asked = 0
    for run in runs:
        assert run.job_id
        queued, accounted = (queue or {}).get(run.job_id), (accounting or {}).get(run.job_id)
        shown: SlurmJob | None = None
        wanted = queued is not None or not slurm.has("squeue")  # squeue does not tell the exit code
        if accounting is None and run.job_id in gone and wanted and asked < MOST_SHOWN:
            asked += 1
            shown = slurm.show(run.job_id, cluster)
        known = facts[run.folder] or Facts()
        facts[run.folder] = replace(
            known, squeue=queued, scontrol=shown, sacct=accounted or known.sacct, answered=queue is not None
        )
        final = next((seen for seen in (accounted, shown, queued) if seen and seen.state in FINAL), None)
        if final and not (queued and queued.state in ACTIVE):
            keep_answer(run.folder, final)


def _found_again(runs: Sequence[Run], slurm: Slurm | None) -> tuple[list[Run], set[Path]]:
    """Look for the jobs of submissions that got no answer, all in one call, and write down those that are there.

    Returns:
        The runs, and the folders of those of which Slurm says, after DOUBT_S seconds, that it has no job.
    """
    lost = [run for run in runs if run.submission and run.submission.job_id is None]
    if not (slurm and lost):
        return list(runs), set()
    never = set()
    for cluster in {_cluster(run) for run in lost}:
        answer = slurm.scripts(cluster)
        by_script = {script: job_id for job_id, script in reversed(answer or [])}
        for run in lost:
            if run.submission is None or run.submission.cluster != cluster:
                continue
            if job_id := by_script.get(run.submission.script) or _of_attempt(run):
                index = array_index(run.folder)
                set_job(run.folder if index is None else run.folder.parent, run.submission.script, job_id, cluster)
            elif answer is not None and _age_s(run.submission.began) > DOUBT_S:
                never.add(run.folder)
    return [read_run(run.folder) for run in runs], never


def _age_s(when: str) -> float:
    return (datetime.now(timezone.utc) - datetime.fromisoformat(when)).total_seconds()


def _of_attempt(run: Run) -> str | None:
    """The job that has run already, by what its script wrote down since the submission."""
    if run.submission is None or run.submission.job_id:
        return None
    since = run.submission.began[:19]  # the script writes whole seconds
    begun = [item.start for item in read_attempts(run.folder) if item.start and item.start.started[:19] >= since]
    return begun[-1].job_id.partition("_")[0] if begun else None


def _status(run: Run, facts: Facts | None, never_taken: bool) -> Status:
    row = read_run_folder(run.folder, lambda text: None, facts if run.job_id else None)
    verdict = never_arrived(run.submission.began) if never_taken and run.submission else _verdict(run, row)
    live = next((seen for seen in (facts.squeue, facts.scontrol, facts.sacct) if seen), None) if facts else None
    waits = verdict.state in (State.PENDING, State.REQUEUED)
    limit = (run.record.get("job") or {}).get("resources", {}).get("time")
    return Status(
        run=run.name,
        folder=str(run.folder),
        job_id=run.job_id,
        state=verdict.state,
        cause=verdict.cause,
        evidence=verdict.evidence,
        next_step=verdict.next_step.replace("RUN", _short(run.folder)) if verdict.next_step else None,
        expected_start=live.start if live and waits else None,
        elapsed_s=_elapsed_s(run, row, live, verdict.state),
        limit_s=slurm_seconds(live.limit if live else None) or (values.seconds(limit) if limit else None),
        attempts=len(facts.attempts) if facts else 0,
        **_progress(run.folder, row),
    )


def _verdict(run: Run, row: Row) -> Verdict:
    """The verdict on a run: Slurm's and its script's, then what its own logs tell of it."""
    if run.submission and run.submission.job_id is None:
        return submitting(run.submission.began)
    by_logs = FROM_OUTCOME.get(row.outcome, State.FAILED)
    evidence = row.evidence
    shown = f"{Path(evidence.file).name}: {evidence.text}" if evidence else None
    by_slurm = row.verdict is not None and (evidence is None or evidence.file == SLURM)
    return row.verdict if row.verdict and by_slurm else Verdict(by_logs, row.cause, shown, row.next_step)


def _elapsed_s(run: Run, row: Row, live: SlurmJob | None, state: State) -> int | None:
    if live and live.elapsed and state not in (State.PENDING, State.REQUEUED):
        return slurm_seconds(live.elapsed)
    if row.time_s is not None:
        return round(row.time_s)
    started = run.record.get("started")
    if state is State.RUNNING and started:
        return round(_age_s(started))
    return None


def _progress(folder: Path, row: Row) -> dict[str, Any]:
    """Where the training stands, from the end of metrics.jsonl."""
    try:
        with open(folder / runlog.METRICS_FILE, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    events, _ = runlog.read_events(lines)
    last: dict[str, Any] = next((event for event in reversed(events) if event["event"] in ("progress", "epoch")), {})
    return {
        "epoch": last.get("epoch") or row.epochs_done,
        "epochs": last.get("epochs") or row.epochs_planned,
        "step": last.get("step"),
        "steps": last.get("steps"),
        "images_per_s": row.images_per_s or last.get("images_per_s"),
    }


def slurm_seconds(text: str | None) -> int | None:
    """Return `[D-]HH:MM:SS` or `MM:SS` in seconds; None where it is no time, such as UNLIMITED.

    >>> slurm_seconds("1-00:00:05"), slurm_seconds("2:05")
    (86405, 125)
    """
    days, _, clock = (text or "").rpartition("-")
    try:
        total = 0
        for part in clock.split(":"):
            total = total * 60 + int(part)
        return total + int(days or 0) * 86400
    except ValueError:
        return None


def _short(folder: Path) -> str:
    """A folder as one would type it from here."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
