"""A full queue: what a course of students makes."""

import pytest
from slurm_session import Slurm

from hpcdl.sandbox.waiting import wait_until

NUM_JOBS = 1000


@pytest.mark.slow
def test_a_thousand_jobs_wait_and_the_scheduler_still_answers(idle: Slurm) -> None:
    loop = (
        f'for i in $(seq {NUM_JOBS}); do sbatch --quiet -o /dev/null -N3 --exclusive --wrap "sleep 600" || exit; done'
    )
    assert idle.run("bash", "-c", loop).returncode == 0
    states = idle.out("squeue", "--noheader", "--format=%T").split()
    assert len(states) == NUM_JOBS
    assert states.count("PENDING") >= NUM_JOBS - 1
    assert "to start at" in idle.run("timeout", "10", "sbatch", "--test-only", "-N1", "--wrap=true").stderr


@pytest.mark.slow
def test_an_array_of_a_thousand_tasks_completes(idle: Slurm) -> None:
    job = idle.submit("true", f"--array=1-{NUM_JOBS}", "--mem=10M", "--output=/dev/null")

    def completed() -> int:
        states = idle.out("sacct", "-X", "--noheader", f"--jobs={job}", "--format=State").split()
        return states.count("COMPLETED")

    wait_until(lambda: completed() == NUM_JOBS, 180, f"{NUM_JOBS} tasks ({completed()} are done)")
