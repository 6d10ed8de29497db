"""The pre-flight against a real Slurm: what `sbatch --test-only` lets through is caught, a clean job is not stopped."""

import sys

import pytest
from slurm_session import Slurm

CLEAN = """#!/bin/bash
#SBATCH --partition=gpus --nodes=2 --ntasks-per-node=4 --gres=gpu:4 --time=00:10:00
#SBATCH --output=%x_%j.out
srun --cpus-per-task=1 hostname
"""


def check(slurm: Slurm, text: str, **variables: str):
    folder = slurm.folder / "check"
    folder.mkdir(exist_ok=True)
    (folder / "job.sh").write_text(text)
    return slurm.run(sys.executable, "-m", "hpcdl", "check", "job.sh", folder=folder, **variables)


def test_a_clean_job_is_not_stopped(slurm):
    done = check(slurm, CLEAN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "nothing found that would go wrong\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--output=%x", "--output=no/%x"), "died"),
        (("--nodes=2", "--nodes=2 --chdir=/no/such"), "/no/such is no folder"),
        (("#!/bin/bash", "#!/no/such/bash"), "/no/such/bash"),
        (("--nodes=2", "--nodes=2 --dependency=afterok:999999"), "no job 999999"),
        (("--nodes=2", "--nodes=2 --reservation=over"), "there is no over"),
        (("--nodes=2", "--nodes=2 --gpus-per-node=2"), "[conflicting-gpus]"),
    ],
)
def test_what_test_only_lets_through_is_caught(slurm, change, said):
    text = CLEAN.replace(*change)
    (slurm.folder / "tested.sh").write_text(text)
    if "reservation" not in text:
        assert slurm.run("sbatch", "--test-only", str(slurm.folder / "tested.sh")).returncode == 0
    done = check(slurm, text)
    assert said.replace("died", "die with no log") in done.stdout, done.stdout + done.stderr


def test_what_test_only_refuses_stops_the_job(slurm):
    done = check(slurm, CLEAN.replace("--partition=gpus", "--partition=nowhere"))
    assert done.returncode == 1
    assert "sbatch --test-only refuses the script" in done.stdout


def test_a_reservation_and_a_job_that_are_there_are_no_problem(slurm):
    job = slurm.submit("sleep 30", "--partition=batch")
    done = check(slurm, CLEAN.replace("--nodes=2", f"--nodes=2 --dependency=afterok:{job}"))
    assert done.returncode == 0, done.stdout
    slurm.run("scancel", job)


def test_a_variable_that_beats_the_script_is_told(slurm):
    done = check(slurm, CLEAN, SBATCH_TIMELIMIT="5")
    assert "SBATCH_TIMELIMIT=5 is set" in done.stdout
    assert done.returncode == 0
