"""The one state of a job, from what its script wrote down and what Slurm's programs say, any of them missing (pure).

Nothing is concluded from silence: a job that has left the queue is COMPLETED only where its own exit record says 0, or
Slurm says COMPLETED.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum

from hpcdl.run.attempts import Attempt, ExitRecord
from hpcdl.slurm import reasons
from hpcdl.slurm.answers import SlurmJob


class State(str, Enum):
    """What became of a run. Slurm's words where it has one."""

    SUBMITTING = "SUBMITTING"
    """Nobody knows yet whether Slurm has taken it."""
    PENDING = "PENDING"
    REQUEUED = "REQUEUED"
    """Waits again, after an attempt that was stopped."""
    CONFIGURING = "CONFIGURING"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    COMPLETING = "COMPLETING"
    """Its processes are ending, well or not."""
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    CANCELLED = "CANCELLED"
    DEADLINE = "DEADLINE"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    """Slurm could not start the script."""
    LOST = "LOST"
    """It wrote down no end, and Slurm does not know it any more."""
    UNKNOWN = "UNKNOWN"
    """Nobody could be asked."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in _OPEN


_OPEN = {
    *(State.SUBMITTING, State.PENDING, State.REQUEUED, State.CONFIGURING, State.RUNNING, State.SUSPENDED),
    *(State.COMPLETING, State.UNKNOWN),
}

ACTIVE = {
    "PENDING": State.PENDING,
    "REQUEUED": State.REQUEUED,
    "REQUEUE_HOLD": State.REQUEUED,
    "REQUEUE_FED": State.REQUEUED,
    "SPECIAL_EXIT": State.REQUEUED,
    "RESV_DEL_HOLD": State.PENDING,
    "CONFIGURING": State.CONFIGURING,
    "POWER_UP_NODE": State.CONFIGURING,
    "RUNNING": State.RUNNING,
    "RESIZING": State.RUNNING,
    "SIGNALING": State.RUNNING,
    "EXPEDITING": State.PENDING,
    "SUSPENDED": State.SUSPENDED,
    "STOPPED": State.SUSPENDED,
    "COMPLETING": State.COMPLETING,
    "STAGE_OUT": State.COMPLETING,
    "UPDATE_DB": State.COMPLETING,
}
"""Slurm's states of a job that has not ended (https://slurm.schedmd.com/job_state_codes.html)."""

FINAL = {
    "COMPLETED": State.COMPLETED,
    "FAILED": State.FAILED,
    "TIMEOUT": State.TIMEOUT,
    "OUT_OF_MEMORY": State.OUT_OF_MEMORY,
    "NODE_FAIL": State.NODE_FAIL,
    "BOOT_FAIL": State.NODE_FAIL,
    "PREEMPTED": State.PREEMPTED,
    "CANCELLED": State.CANCELLED,
    "DEADLINE": State.DEADLINE,
    "LAUNCH_FAILED": State.LAUNCH_FAILED,
    "RECONFIG_FAIL": State.NODE_FAIL,
}
"""Slurm's states of a job that has ended."""

CAUSES = {
    State.TIMEOUT: "ended by Slurm at the time limit",
    State.OUT_OF_MEMORY: "out of memory on the host",
    State.NODE_FAIL: "a node failed",
    State.PREEMPTED: "preempted by Slurm for another job",
    State.CANCELLED: "cancelled",
    State.DEADLINE: "ended by Slurm at its deadline",
    State.LAUNCH_FAILED: "did not start: its log could not be written, or its working folder or script is missing",
}

NEXT = {
    State.FAILED: "read the last lines of its log (hpcdl logs RUN --err), repair it, hpcdl rerun RUN",
    State.TIMEOUT: "hpcdl submit --failed-only RUN goes on from its checkpoint, if it has one; "
    "for more time: hpcdl rerun RUN --set resources.time=...",
    State.OUT_OF_MEMORY: "ask for more memory (resources.memory_per_node_gib), or read the data in smaller parts",
    State.NODE_FAIL: "hpcdl rerun RUN; if the node fails again, --set slurm.exclude=NODE and tell the site",
    State.PREEMPTED: "hpcdl rerun RUN",
    State.CANCELLED: "nothing to repair: it was ended by hand; hpcdl rerun RUN starts it anew",
    State.DEADLINE: "submit it earlier, with less time, or without slurm.deadline",
    State.LAUNCH_FAILED: "check that the compute nodes see its folder and the disk is not full, then hpcdl rerun RUN",
    State.LOST: "read its logs (hpcdl logs RUN); the site's support can find the job; hpcdl rerun RUN starts it anew",
    State.UNKNOWN: "ask again where Slurm answers",
}


@dataclass(frozen=True)
class Verdict:
    """The state of a run, and why that is said."""

    state: State
    cause: str | None = None
    """Why it waits or how it ended, one sentence; None where the state says it all."""
    evidence: str | None = None
    """What tells: a record of the script, or what a program of Slurm said."""
    next_step: str | None = None


@dataclass(frozen=True)
class Facts:
    """All that is known of one job. Whatever is missing is None or empty."""

    attempts: Sequence[Attempt] = ()
    """What the script wrote down, the first attempt first, of this job alone."""
    squeue: SlurmJob | None = None
    scontrol: SlurmJob | None = None
    sacct: SlurmJob | None = None
    answered: bool = False
    """The controller was asked and answered: it does not know a job that it did not name."""


def judge(facts: Facts) -> Verdict:
    """Return the state of a job."""
    last = facts.attempts[-1] if facts.attempts else None
    own = last.exit if last else None
    sacct = None if facts.sacct and _is_of_earlier(facts.sacct, last) else facts.sacct
    for seen in (facts.squeue, facts.scontrol):
        if seen and seen.state in ACTIVE:
            return _active(seen, own, bool(facts.attempts))
    final = next((seen for seen in (facts.squeue, facts.scontrol, sacct) if seen and seen.state in FINAL), None)
    if final:
        return _ended(_with_details(final, facts.scontrol, sacct), last)
    if own and own.decision != "requeued":
        return _by_own_record(own)
    if facts.answered:
        return _lost(last, sacct)
    if sacct and sacct.state in ACTIVE:
        return _active(sacct, own, bool(facts.attempts))
    return _unknown(last, next((seen for seen in (facts.squeue, facts.scontrol, sacct) if seen), None))


def submitting(when: str) -> Verdict:
    """Return the verdict on a run whose submission got no answer, begun at `when`."""
    cause = f"sbatch was called at {when}, and its answer never came"
    return Verdict(
        State.SUBMITTING, cause, None, "ask again where Slurm answers: hpcdl status finds the job, if there is one"
    )


def never_arrived(when: str) -> Verdict:
    """Return the verdict on a run whose submission, begun at `when`, got no answer, and Slurm has no job of it."""
    cause = f"sbatch was called at {when}, its answer never came, and Slurm has no job with its script"
    return Verdict(State.LOST, cause, "squeue: no such job", "hpcdl rerun RUN")


def _active(seen: SlurmJob, own: ExitRecord | None, attempted: bool) -> Verdict:
    state = ACTIVE[seen.state]
    if state is State.PENDING and attempted:
        state = State.REQUEUED
    if state in (State.PENDING, State.REQUEUED):
        if seen.source == "sacct":  # which does not tell why
            return Verdict(state, None, seen.evidence)
        words, remedy = reasons.in_words(seen.reason)
        return Verdict(state, words, seen.evidence, remedy)
    if state is State.COMPLETING and own and own.decision == "finished":
        return Verdict(state, "its work is done; Slurm is cleaning up", seen.evidence)
    return Verdict(state, None, seen.evidence)


def _ended(seen: SlurmJob, last: Attempt | None) -> Verdict:
    """Judge by Slurm's final word. A bad one stands, whatever the script said; a good one needs no objection of it."""
    own = last.exit if last else None
    state = FINAL[seen.state]
    if state is State.COMPLETED:
        if own and own.decision == "requeued":
            cause = "its script gave it back to the queue, and there is no sign that it was started again"
            return Verdict(State.LOST, cause, f"{seen.evidence}; exit record: requeued", NEXT[State.LOST])
        if own and not _succeeded(own):
            return _by_own_record(own)
        return Verdict(state, None, seen.evidence)
    if state is State.FAILED:
        if seen.reason == "OutOfMemory" or any("OUT_OF_MEMORY" in step for step in seen.steps):
            state = State.OUT_OF_MEMORY
            evidence = "; ".join([seen.evidence, *(step for step in seen.steps if "OUT_OF_MEMORY" in step)])
            return Verdict(state, CAUSES[state], evidence, NEXT[state])
        started = last is not None and last.start is not None
        if not started and (seen.exit_code == "0:53" or seen.reason == "JobLaunchFailure"):
            state = State.LAUNCH_FAILED
        elif own and not _succeeded(own) and own.decision != "requeued":
            verdict = _by_own_record(own)
            return replace(verdict, evidence=f"{verdict.evidence}; {seen.evidence}")
        else:
            cause = f"Slurm counts it as failed{_code_in_words(seen.exit_code)}{_although(own)}"
            return Verdict(state, cause, seen.evidence, NEXT[state])
    cause = CAUSES[state] + (" while it booted" if seen.state == "BOOT_FAIL" else "") + _although(own)
    return Verdict(state, cause, seen.evidence, NEXT[state])


def _by_own_record(own: ExitRecord) -> Verdict:
    """Judge by the script's exit record: Slurm says nothing more, or does not object."""
    evidence = f"exit record of job {own.job_id}, restart {own.restart}: {own.decision}, exit code {own.exit_code}"
    if _succeeded(own):
        return Verdict(State.COMPLETED, None, evidence)
    if own.decision == "gave_up":
        cause = own.reason or "stopped before its time limit, and not given back to the queue"
        return Verdict(State.TIMEOUT, cause, evidence, NEXT[State.TIMEOUT])
    cause = own.reason or f"ended with exit code {own.exit_code}"
    if own.signal == "TERM":
        cause += "; SIGTERM is what scancel, a preemption and the time limit send, and Slurm does not tell which"
    return Verdict(State.FAILED, cause, evidence, NEXT[State.FAILED])


def _lost(last: Attempt | None, sacct: SlurmJob | None) -> Verdict:
    stale = f"; {sacct.evidence}, which is out of date" if sacct else ""
    if last is None:
        cause = "Slurm does not know the job any more, and its script never began"
    elif last.exit:
        cause = "its script gave it back to the queue, and Slurm does not know it any more"
    else:
        cause = f"{_began(last)}, wrote down no end, and Slurm does not know it any more"
    return Verdict(State.LOST, cause, f"squeue: no such job{stale}", NEXT[State.LOST])


def _unknown(last: Attempt | None, seen: SlurmJob | None) -> Verdict:
    if seen:
        cause = f"Slurm's state {seen.state} is not known here"
    elif last is None:
        cause = "its script has not begun as far as its folder tells, and Slurm was not asked or did not answer"
    elif last.exit:
        cause = "its script gave it back to the queue, and Slurm was not asked or did not answer"
    else:
        cause = f"{_began(last)} and wrote down no end; Slurm was not asked or did not answer"
    return Verdict(State.UNKNOWN, cause, seen.evidence if seen else None, NEXT[State.UNKNOWN])


def _began(last: Attempt) -> str:
    assert last.start, "an attempt has a start or an exit"
    return f"began {last.start.started}" + (f" on {last.start.host}" if last.start.host else "")


def _with_details(final: SlurmJob, scontrol: SlurmJob | None, sacct: SlurmJob | None) -> SlurmJob:
    """Add what another program knows of the same end: the exit code, and steps that ran out of memory."""
    if scontrol and scontrol.state == final.state:
        final = replace(final, exit_code=final.exit_code or scontrol.exit_code, reason=final.reason or scontrol.reason)
    if sacct and (sacct.state == final.state or (final.state == "FAILED" and sacct.state == "OUT_OF_MEMORY")):
        final = replace(final, state=sacct.state, exit_code=final.exit_code or sacct.exit_code, steps=sacct.steps)
    return final


def _is_of_earlier(seen: SlurmJob, last: Attempt | None) -> bool:
    """Tell whether accounting speaks of an attempt before the last one: it may lag behind."""
    if not (seen.end and last and last.start):
        return False
    try:
        ended = datetime.fromisoformat(seen.end).astimezone(timezone.utc)
        return ended < datetime.fromisoformat(last.start.started).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return False


def _code_in_words(exit_code: str | None) -> str:
    code, _, signal = (exit_code or "").partition(":")
    if signal not in ("", "0"):
        return f" (ended by signal {signal})"
    return f" (exit code {code})" if code not in ("", "0") else ""


def _although(own: ExitRecord | None) -> str:
    return ", although its script had recorded exit code 0" if own and _succeeded(own) else ""


def _succeeded(own: ExitRecord) -> bool:
    return own.decision == "finished" and own.exit_code == 0
