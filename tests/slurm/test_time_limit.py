"""What a rendered script does before its time limit, on a real Slurm: signal, requeue, bound, records."""

from dataclasses import replace

import pytest
from rendered_job import Submitted, submit
from slurm_session import Slurm

from hpcdl.sandbox import faults
from hpcdl.sandbox.waiting import wait_until

EXPIRES_IN_S = 31
"""slurmctld looks every 30 s: it sees the job at least once between the notice and the end."""

# A program that works in two parts: told to stop it writes a checkpoint, found there it finishes.
STOPS_WITH_A_CHECKPOINT = """
trap 'touch checkpoint-$1; exit 75' USR1
echo "started with $1"
[ -e checkpoint-$1 ] && exit 0
while :; do sleep 0.1; done
"""
SLEEPS_UNTIL_SAVED = "echo started; [ -e saved ] && exit 0; sleep 600"
FINISHES_AT_THE_SIGNAL = "trap 'exit 0' USR1; echo started; while :; do sleep 0.1; done"
COMMAND = ["bash", "-c", STOPS_WITH_A_CHECKPOINT, "work", "all"]
POINTS = {"command": [*COMMAND[:-1], "{part}"], "sweep": {"grid": {"part": ["one", "two"]}}}
REQUEUED = [("requeued", 75, "USR1"), ("finished", 0, None)]


def limited(slurm: Slurm, name: str, changes: dict | None = None, task: str = "") -> Submitted:
    """Submit a job of one rank, with a notice 20 s before its limit."""
    job = {
        "name": "limited",
        "resources": {"time": "00:10:00", "memory_per_node_gib": 1},
        "command": COMMAND,
        "on_timeout": {"signal_before": "00:00:20"},
        **(changes or {}),
    }
    return submit(slurm, slurm.folder / name, job, task)


@pytest.fixture(scope="module")
def jobs(slurm: Slurm) -> dict[str, Submitted]:
    """Let every job reach its limit at the same time."""
    limit = {"signal_before": "00:00:20"}
    jobs = {
        "plain": limited(slurm, "plain"),
        "array": limited(slurm, "array", POINTS, task="1"),
        "checkpoint": limited(
            slurm,
            "checkpoint",
            {
                "command": ["bash", "-c", SLEEPS_UNTIL_SAVED],
                "on_timeout": {**limit, "checkpoint_command": ["touch", "saved"]},
            },
        ),
        "no-checkpoint": limited(
            slurm,
            "no-checkpoint",
            {"command": ["bash", "-c", SLEEPS_UNTIL_SAVED], "on_timeout": {**limit, "checkpoint_command": "false"}},
        ),
        "bound": limited(slurm, "bound", {"on_timeout": {**limit, "requeues": 1}}),
        "refused": limited(slurm, "refused"),
        "finished": limited(slurm, "finished", {"command": ["bash", "-c", FINISHES_AT_THE_SIGNAL]}),
    }
    for job in jobs.values():
        job.wait_started(said="started")
    slurm.out("scontrol", "requeue", jobs["bound"].id)
    jobs["bound"].wait_started(1, said="started")
    slurm.out("scontrol", "update", f"jobid={jobs['refused'].id}", "requeue=0")
    for job in jobs.values():
        faults.expire(slurm.sandbox, job.id, EXPIRES_IN_S)
    return jobs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "array"])
def test_a_command_that_stops_with_its_exit_code_is_requeued_and_finishes(slurm, jobs, name):
    job = jobs[name]
    job.wait_endings(1)
    assert job.endings[0] == REQUEUED[0], job.log("err")
    job.wait_started(1)
    assert slurm.end(job.id) == "COMPLETED"
    assert job.endings == REQUEUED
    first, second = job.attempts
    assert (first.job_id, first.restart, second.restart) == (job.id, 0, 1)
    assert first.start.host.startswith("node")
    assert (first.start.nodes, first.start.ntasks, first.start.cluster) == (first.start.host, 1, slurm.sandbox.name)
    assert first.start.slurm_job_id
    assert job.log("out").count("started") == 2  # one log, to which the second start was added


def test_only_the_task_of_an_array_that_reached_its_limit_runs_again(slurm, jobs):
    other = replace(jobs["array"], task="0")
    assert [attempt.restart for attempt in other.attempts] == [0]


def test_a_checkpoint_command_stands_in_for_a_program_that_knows_no_signal(slurm, jobs):
    job = jobs["checkpoint"]
    job.wait_endings(1)
    assert (job.folder / "saved").exists()
    assert [(decision, signal) for decision, _, signal in job.endings] == [("requeued", "USR1")]
    job.wait_started(1)
    assert slurm.end(job.id) == "COMPLETED"
    assert job.endings[1] == ("finished", 0, None)


def test_after_the_last_requeue_the_job_gives_up_and_says_why(slurm, jobs):
    job = jobs["bound"]
    wait_until(lambda: job.attempts[-1].exit is not None and job.attempts[-1].restart == 1, 90, "the end")
    assert slurm.end(job.id) == "FAILED"
    assert [(attempt.exit.decision, attempt.exit.exit_code) for attempt in job.attempts] == [
        ("failed", 143),  # the requeue of an administrator
        ("gave_up", 75),
    ]
    said = "stopped with a checkpoint before the time limit, and not requeued: on_timeout.requeues is 1"
    assert job.attempts[-1].exit.reason.replace("?", ",") == said
    assert f"error: {said}\n" in job.log("err")


def test_a_run_that_finishes_at_the_signal_is_not_requeued(slurm, jobs):
    job = jobs["finished"]
    assert slurm.end(job.id, 90) == "COMPLETED"
    assert job.endings == [("finished", 0, "USR1")]
    assert "Restarts=0" in slurm.out("scontrol", "show", "job", job.id)


def test_a_requeue_that_slurm_refuses_is_told(slurm, jobs):
    job = jobs["refused"]
    wait_until(lambda: "scontrol requeue failed" in job.log("err"), 90, "five refusals")
    assert slurm.end(job.id) == "FAILED"
    assert job.endings == [("gave_up", 75, "USR1")]
    assert "scontrol requeue failed: " in job.attempts[0].exit.reason


def test_without_a_checkpoint_the_job_goes_on_to_its_limit(slurm, jobs):
    job = jobs["no-checkpoint"]
    assert slurm.end(job.id, 120) == "TIMEOUT"
    assert "checkpoint_command failed; the job goes on to its time limit" in job.log("err")
    assert [decision for decision, _, _ in job.endings] == ["failed"]


def test_a_cancelled_job_is_not_requeued(idle):
    job = limited(idle, "cancelled")
    job.wait_started()
    idle.out("scancel", job.id)
    assert idle.end(job.id) == "CANCELLED"
    job.wait_endings(1)
    assert [(decision, signal) for decision, _, signal in job.endings] == [("failed", "TERM")]
    assert "Restarts=0" in idle.out("scontrol", "show", "job", job.id)
