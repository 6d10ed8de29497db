"""Heterogeneous jobs on a real Slurm: each group on nodes of its own kind, one run and one state for all of them."""

import json
import re
import sys
from pathlib import Path

import pytest
from slurm_session import Slurm
from test_submitted import PROGRAMS, User, path_with

from hpcdl.run.attempts import read_attempts
from hpcdl.sandbox.waiting import wait_until

TELL = 'echo "$SLURM_JOB_PARTITION rank $SLURM_PROCID of $SLURM_NTASKS on $(hostname), meeting at $MASTER_ADDR"'
MPI = "from mpi4py.MPI import COMM_WORLD as us; us.barrier(); print(f'rank {us.rank} of {us.size}', flush=True)"
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "LOST")


@pytest.fixture(scope="module")
def user(slurm: Slurm) -> User:
    return User(slurm, slurm.folder / "groups")


def submit(user: User, name: str, first: str, second: str, **more: object) -> tuple[Path, str]:
    """Submit a job with a group of two ranks in partition gpus and a group of one in batch."""
    resources = {"time": "00:10:00", "memory_per_node_gib": 1}
    booster = {
        "name": "booster",
        "resources": {**resources, "ranks_per_node": 2, "gpus_per_node": 4},
        "slurm": {"partition": "gpus"},
        "command": ["bash", "-c", first],
    }
    cluster = {
        "name": "cluster",
        "resources": resources,
        "slurm": {"partition": "batch"},
        "command": ["bash", "-c", second],
    }
    job = {"name": name, "groups": [booster, cluster], **more}
    (user.folder / f"{name}.yaml").write_text(json.dumps(job))
    said = user.must("submit", f"{name}.yaml", "--site", "jureca")
    job_id, folder = re.search(r"Submitted job (\d+).*\nRun folder  (\S+)", said).groups()  # type: ignore[union-attr]
    return user.folder / folder, job_id


@pytest.fixture(scope="module")
def runs(user: User) -> dict[str, tuple[Path, str]]:
    """Runs that end well, end badly, and wait; each with its job's id."""
    waits = submit(user, "waits", "true", "true", slurm={"begin": "now+1hour"})
    bad = submit(user, "bad", "echo started; sleep 600", "sleep 1; exit 3")
    worlds = submit(user, "worlds", *[f'exec {sys.executable} -c "{MPI}"'] * 2)
    good = submit(user, "good", TELL, TELL)
    return {"good": good, "bad": bad, "waits": waits, "worlds": worlds}


def test_each_group_runs_in_its_own_partition_and_meets_at_its_own_node(user, runs):
    folder, job_id = runs["good"]
    assert user.wait(folder, *ENDED)["state"] == "COMPLETED"
    (attempt,) = read_attempts(folder)
    assert attempt.start
    first, second = (attempt.start.nodes or "").split(",")
    said = sorted((folder / f"good_out.{job_id}").read_text().splitlines())
    assert said == [
        f"batch rank 0 of 1 on {second}, meeting at {second}",
        f"gpus rank 0 of 2 on {first}, meeting at {first}",
        f"gpus rank 1 of 2 on {first}, meeting at {first}",
    ]
    assert (attempt.start.ntasks, attempt.exit and attempt.exit.exit_code) == (3, 0)


def test_a_group_that_fails_ends_the_other_and_the_run_has_its_exit_code(user, runs):
    folder, job_id = runs["bad"]
    status = user.wait(folder, *ENDED)
    assert (status["state"], status["job_id"]) == ("FAILED", job_id)
    (attempt,) = read_attempts(folder)
    assert attempt.exit
    assert (attempt.exit.exit_code, attempt.exit.decision) == (3, "failed")
    error = (folder / f"bad_err.{job_id}").read_text()
    assert re.search(rf"STEP {job_id}\.\d ON \S+ CANCELLED", error), "the group that slept is ended, not waited for"
    states = user.slurm.out("sacct", "--noheader", "--parsable2", "-X", "--format=JobID,State", f"--jobs={job_id}")
    assert states.split() == [f"{job_id}+0|FAILED", f"{job_id}+1|FAILED"]


@pytest.mark.parametrize("without", ["sacct", "squeue", "scontrol"])
def test_the_state_is_the_same_whichever_program_is_missing(without, user, runs, tmp_path):
    """Nothing is remembered: what an earlier question has left in the run's folder is taken away."""
    for name in ("good", "bad", "worlds"):
        user.wait(runs[name][0], *ENDED)
        (runs[name][0] / "slurm.json").unlink(missing_ok=True)
        for record in (runs[name][0] / "attempts").glob("*.exit.json"):
            record.rename(record.with_suffix(".away"))  # Slurm alone is to tell
    path = path_with(user.folder / f"without-{without}", "bash", *(set(PROGRAMS) - {without}))
    try:
        assert user.states(path=path) == {
            "good": "COMPLETED",
            "bad": "FAILED",
            "worlds": "COMPLETED",
            "waits": "PENDING",
        }
    finally:
        for record in user.folder.glob("runs/*/attempts/*.away"):
            record.rename(record.with_suffix(".json"))


def test_the_ranks_of_a_group_are_an_mpi_world_of_their_own(user, runs):
    folder, job_id = runs["worlds"]
    assert user.wait(folder, *ENDED)["state"] == "COMPLETED"
    said = sorted((folder / f"worlds_out.{job_id}").read_text().splitlines())
    assert said == ["rank 0 of 1", "rank 0 of 2", "rank 1 of 2"]


def test_the_table_of_results_has_one_line_for_each_run(user, runs):
    rows = json.loads(user.must("collect", "runs", "--format", "json"))
    outcomes = {row["run"].partition("-")[0]: row["outcome"] for row in rows}
    assert len(rows) == len(runs)
    assert (outcomes["good"], outcomes["bad"]) == ("completed", "crash")


def test_all_groups_are_cancelled_while_they_run(user):
    folder, job_id = submit(user, "stopped", "echo here; sleep 600", "echo here; sleep 600")
    log = folder / f"stopped_out.{job_id}"
    wait_until(lambda: log.exists() and log.read_text().count("here") == 3, 60, "all ranks to run")
    assert user.must("cancel", str(folder)) == f"{folder.name}: job {job_id} cancelled\n"
    wait_until(lambda: read_attempts(folder)[0].exit is not None, 30, "the script to record its end")
    assert user.wait(folder, *ENDED)["state"] == "CANCELLED"
    (attempt,) = read_attempts(folder)
    assert attempt.exit
    assert (attempt.exit.signal, attempt.exit.decision) == ("TERM", "failed")


def test_all_groups_are_cancelled_before_they_run(user, runs):
    folder, job_id = runs["waits"]
    assert user.wait(folder, "PENDING")["job_id"] == job_id
    assert user.must("cancel", str(folder)) == f"{folder.name}: job {job_id} cancelled\n"
    assert user.wait(folder, *ENDED)["state"] == "CANCELLED"
    assert not user.slurm.out("squeue", "--noheader", f"--jobs={job_id}")
