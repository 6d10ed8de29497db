"""The one state of a job: every combination of what is known, and that silence is never taken for success."""

import itertools
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcdl.run.attempts import Attempt, ExitRecord, StartRecord
from hpcdl.run.states import ACTIVE, FINAL, Facts, State, judge
from hpcdl.slurm.answers import SlurmJob


def began(restart: int = 0, started: str = "2026-11-20T12:00:00+00:00") -> Attempt:
    start = StartRecord(
        schema=1,
        job_id="12",
        slurm_job_id="12",
        restart=restart,
        host="node01",
        nodes="node01",
        ntasks=1,
        cluster="test",
        started=started,
    )
    return Attempt(start, None)


def ended(
    decision: str, exit_code: int, signal: str | None = None, reason: str | None = None, restart: int = 0
) -> Attempt:
    end = ExitRecord(
        schema=1,
        job_id="12",
        restart=restart,
        exit_code=exit_code,
        signal=signal,
        ended="2026-11-20T13:00:00+00:00",
        decision=decision,
        reason=reason,
    )
    return Attempt(began(restart).start, end)


def job(source: str, state: str, **more) -> SlurmJob:
    return SlurmJob(source, "12", state, **more)


def seen(source: str, state: str, **more) -> Facts:
    return Facts(**{source: job(source, state, **more)}, answered=source != "sacct")


GOOD, BAD = ended("finished", 0), ended("failed", 3, reason="rank 1: out of ideas")
HANDED_BACK, GAVE_UP = (
    ended("requeued", 75, "USR1"),
    ended("gave_up", 75, "USR1", "requeued 3 times, which is the most"),
)


@pytest.mark.parametrize(
    ("facts", "state", "cause", "evidence"),
    [
        # the controller's word
        (seen("squeue", "PENDING", reason="Resources"), State.PENDING, "free nodes", "squeue: 12 PENDING"),
        (seen("squeue", "RUNNING"), State.RUNNING, None, "squeue: 12 RUNNING"),
        (seen("squeue", "CONFIGURING"), State.CONFIGURING, None, "squeue"),
        (seen("squeue", "SUSPENDED"), State.SUSPENDED, None, "squeue"),
        (seen("squeue", "COMPLETING"), State.COMPLETING, None, "squeue"),
        (seen("squeue", "TIMEOUT"), State.TIMEOUT, "time limit", "squeue: 12 TIMEOUT"),
        (seen("squeue", "OUT_OF_MEMORY"), State.OUT_OF_MEMORY, "memory", "squeue"),
        (seen("squeue", "NODE_FAIL"), State.NODE_FAIL, "a node failed", "squeue"),
        (seen("squeue", "BOOT_FAIL"), State.NODE_FAIL, "while it booted", "squeue"),
        (seen("squeue", "PREEMPTED"), State.PREEMPTED, "another job", "squeue"),
        (seen("squeue", "CANCELLED"), State.CANCELLED, "cancelled", "squeue"),
        (seen("squeue", "DEADLINE"), State.DEADLINE, "deadline", "squeue"),
        (seen("squeue", "FAILED", reason="JobLaunchFailure"), State.LAUNCH_FAILED, "did not start", "JobLaunchFailure"),
        (seen("scontrol", "FAILED", exit_code="0:53"), State.LAUNCH_FAILED, "did not start", "0:53"),
        (seen("scontrol", "FAILED", exit_code="2:0"), State.FAILED, "exit code 2", "exit code 2:0"),
        (seen("scontrol", "FAILED", exit_code="0:9"), State.FAILED, "signal 9", "0:9"),
        (seen("sacct", "COMPLETED"), State.COMPLETED, None, "sacct: 12 COMPLETED"),
        (seen("squeue", "COMPLETED"), State.COMPLETED, None, "squeue: 12 COMPLETED"),
        # accounting that knows more of the same end
        (
            Facts(
                squeue=job("squeue", "FAILED", reason="NonZeroExitCode"),
                sacct=job("sacct", "FAILED", exit_code="1:0", steps=("12.0 OUT_OF_MEMORY",)),
            ),
            *(State.OUT_OF_MEMORY, "memory", "12.0 OUT_OF_MEMORY"),
        ),
        # after a requeue
        (
            Facts([HANDED_BACK], squeue=job("squeue", "PENDING", reason="BeginTime")),
            *(State.REQUEUED, "after a requeue", "PENDING"),
        ),
        (seen("squeue", "REQUEUE_HOLD", reason="JobHoldMaxRequeue"), State.REQUEUED, "held", "JobHoldMaxRequeue"),
        (Facts([HANDED_BACK, began(1)], squeue=job("squeue", "RUNNING")), State.RUNNING, None, "RUNNING"),
        (Facts([HANDED_BACK], answered=True), State.LOST, "back to the queue", "no such job"),
        (Facts([HANDED_BACK], sacct=job("sacct", "COMPLETED")), State.LOST, "back to the queue", "COMPLETED"),
        (
            Facts([HANDED_BACK, began(1)], sacct=job("sacct", "NODE_FAIL", end="2000-01-01T00:00:00"), answered=True),
            *(State.LOST, "wrote down no end", "no such job"),
        ),
        # the script's own word, where Slurm has none
        (Facts([GOOD], answered=True), State.COMPLETED, None, "exit code 0"),
        (Facts([GOOD]), State.COMPLETED, None, "exit code 0"),
        (Facts([BAD], answered=True), State.FAILED, "rank 1: out of ideas", "failed, exit code 3"),
        (Facts([GAVE_UP]), State.TIMEOUT, "requeued 3 times", "gave_up"),
        (Facts([ended("failed", 143, "TERM")]), State.FAILED, "Slurm does not tell which", "143"),
        # both: the worse word stands
        (Facts([GOOD], squeue=job("squeue", "NODE_FAIL")), State.NODE_FAIL, "although its script", "NODE_FAIL"),
        (Facts([BAD], sacct=job("sacct", "COMPLETED")), State.FAILED, "rank 1", "exit record"),
        (Facts([BAD], sacct=job("sacct", "FAILED", exit_code="3:0")), State.FAILED, "rank 1", "sacct: 12 FAILED"),
        (Facts([BAD], sacct=job("sacct", "CANCELLED")), State.CANCELLED, "cancelled", "sacct"),
        (Facts([GAVE_UP], sacct=job("sacct", "FAILED", exit_code="75:0")), State.TIMEOUT, "requeued 3", "gave_up"),
        (Facts([began()], squeue=job("squeue", "FAILED", exit_code="0:53")), State.FAILED, "signal 53", "FAILED"),
        (
            Facts([GOOD], squeue=job("squeue", "COMPLETING")),
            *(State.COMPLETING, "its work is done", "COMPLETING"),
        ),
        # silence
        (Facts([began()], answered=True), State.LOST, "on node01, wrote down no end", "no such job"),
        (Facts(answered=True), State.LOST, "never began", "no such job"),
        (
            Facts([began()], sacct=job("sacct", "RUNNING"), answered=True),
            State.LOST,
            "wrote down no end",
            "out of date",
        ),
        (Facts([began()], sacct=job("sacct", "RUNNING")), State.RUNNING, None, "sacct: 12 RUNNING"),
        (Facts([began()]), State.UNKNOWN, "Slurm was not asked", None),
        (Facts(), State.UNKNOWN, "has not begun", None),
        (seen("squeue", "REVOKED"), State.LOST, "never began", None),
    ],
)
def test_state(facts: Facts, state: State, cause: str | None, evidence: str | None):
    verdict = judge(facts)
    assert verdict.state is state
    assert (verdict.cause is None) == (cause is None), verdict
    assert (cause or "") in (verdict.cause or "")
    assert (evidence or "") in (verdict.evidence or "")
    if state.ended and state is not State.COMPLETED:
        assert verdict.next_step


WORDS = [None, *ACTIVE, *FINAL, "REVOKED", "SOMETHING_NEW"]
ATTEMPTS = [(), (began(),), (GOOD,), (BAD,), (HANDED_BACK,), (GAVE_UP,), (HANDED_BACK, began(1)), (HANDED_BACK, GOOD)]


def check(facts: Facts) -> None:
    """What holds whatever is known."""
    verdict = judge(facts)
    last = facts.attempts[-1].exit if facts.attempts else None
    own_success = last is not None and (last.decision, last.exit_code) == ("finished", 0)
    said = [seen for seen in (facts.squeue, facts.scontrol, facts.sacct) if seen]
    controller = next((seen.state for seen in (facts.squeue, facts.scontrol) if seen), None)
    if verdict.state is State.COMPLETED:
        assert own_success or any(seen.state == "COMPLETED" for seen in said)
        assert last is None or own_success
        assert controller in (None, "COMPLETED") or controller not in (*ACTIVE, *FINAL)
        assert verdict.evidence
    if controller in FINAL and controller not in ("COMPLETED", "FAILED"):
        alive = facts.scontrol and facts.scontrol.state in ACTIVE
        assert alive or verdict.state is FINAL[controller]
    if verdict.state.ended and verdict.state is not State.COMPLETED:
        assert verdict.cause
        assert verdict.evidence
        assert verdict.next_step
    if not facts.answered and not said and not facts.attempts:
        assert verdict.state is State.UNKNOWN


def test_every_combination_of_words_and_records():
    number = 0
    for attempts, squeue, scontrol, sacct in itertools.product(ATTEMPTS, WORDS, [None, *FINAL, "PENDING"], WORDS):
        answers = {"squeue": squeue, "scontrol": scontrol, "sacct": sacct}
        known = {name: job(name, state) for name, state in answers.items() if state}
        for answered in (True, False):
            check(Facts(attempts, **known, answered=answered))
            number += 1
    assert number == len(ATTEMPTS) * len(WORDS) ** 2 * (len(FINAL) + 2) * 2


EXITS = st.builds(
    ExitRecord,
    schema=st.just(1),
    job_id=st.just("12"),
    restart=st.integers(0, 3),
    exit_code=st.integers(0, 255),
    signal=st.sampled_from([None, "USR1", "TERM"]),
    ended=st.datetimes(datetime(2026, 1, 1)).map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S}+00:00"),
    decision=st.sampled_from(["finished", "failed", "requeued", "gave_up"]),
    reason=st.none() | st.text(max_size=5),
)
STARTS = st.datetimes(datetime(2026, 1, 1)).map(lambda time: began(0, f"{time:%Y-%m-%dT%H:%M:%S}+00:00").start)
ANY_ATTEMPT = st.one_of(
    st.builds(Attempt, STARTS, EXITS), st.builds(Attempt, STARTS, st.none()), st.builds(Attempt, st.none(), EXITS)
)


def answers(source: str) -> st.SearchStrategy[SlurmJob | None]:
    text = st.none() | st.text(max_size=8)
    return st.none() | st.builds(
        SlurmJob,
        st.just(source),
        st.just("12"),
        st.sampled_from(WORDS[1:]) | st.text(max_size=9),
        text,
        st.none() | st.sampled_from(["0:0", "1:0", "0:53", "0:9", "x"]),
        end=st.none() | st.just("2026-06-01T00:00:00") | st.text(max_size=4),
        steps=st.sampled_from([(), ("12.0 OUT_OF_MEMORY",), ("12.0 FAILED",)]),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(
    st.builds(
        Facts,
        st.lists(ANY_ATTEMPT, max_size=3),
        answers("squeue"),
        answers("scontrol"),
        answers("sacct"),
        st.booleans(),
    )
)
def test_no_combination_is_completed_without_a_word_that_says_so(facts: Facts):
    verdict = judge(facts)
    last = facts.attempts[-1].exit if facts.attempts else None
    if verdict.state is State.COMPLETED:
        own_success = last is not None and (last.decision, last.exit_code) == ("finished", 0)
        by_slurm = any(seen and seen.state == "COMPLETED" for seen in (facts.squeue, facts.scontrol, facts.sacct))
        assert own_success or by_slurm
        assert last is None or own_success
