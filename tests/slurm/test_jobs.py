"""What jobs see: GPUs, ranks, modules, the scheduler's judgement."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_session import Slurm

from hpcdl.sandbox import login
from hpcdl.sandbox.waiting import wait_until

DEBIAN_MPI = Path("/usr/lib/x86_64-linux-gnu/libmpi.so.40")
ALLREDUCE = """
import os, socket
from mpi4py import MPI
world = MPI.COMM_WORLD
total = world.allreduce(world.rank)
# A file for each rank: launchers may cut each other's lines in a common log.
with open(f"ranks-{os.environ['SLURM_JOB_ID']}-{os.getpid()}-{socket.gethostname()}", "w") as file:
    print(world.rank, world.size, socket.gethostname(), total, MPI.Get_library_version()[:11], file=file)
"""


def test_gres_shows_every_gpu_of_the_node_to_every_task(idle: Slurm) -> None:
    job = idle.submit(
        "srun bash -c 'echo $(hostname) $CUDA_VISIBLE_DEVICES'", "-N2", "--ntasks-per-node=2", "--gres=gpu:4"
    )
    assert idle.end(job) == "COMPLETED"
    assert sorted(idle.log(job).split("\n")[:-1]) == ["node01 0,1,2,3"] * 2 + ["node02 0,1,2,3"] * 2


def test_gpus_per_task_shows_one_gpu_to_each_task(idle: Slurm) -> None:
    job = idle.submit("srun bash -c 'echo $CUDA_VISIBLE_DEVICES'", "-n3", "--gpus-per-task=1")
    assert idle.end(job) == "COMPLETED"
    assert sorted(idle.log(job).split()) == ["0", "1", "2"]


def test_gpus_are_taken_and_given_back(idle: Slurm) -> None:
    first = idle.submit("echo $CUDA_VISIBLE_DEVICES; sleep 60", "-w", "node01", "--gres=gpu:3", "--mem=1G")
    idle.wait_running(first)
    second = idle.submit("echo $CUDA_VISIBLE_DEVICES", "-w", "node01", "--gres=gpu:1", "--mem=1G")
    assert idle.end(second) == "COMPLETED"
    assert (idle.log(first).split()[0], idle.log(second).split()[0]) == ("0,1,2", "3")


@pytest.mark.parametrize("library", ["pypi", "debian"])
@pytest.mark.parametrize("launcher", ["srun --mpi=pmix", "srun", "mpirun"])
def test_ranks_span_both_nodes(idle: Slurm, launcher: str, library: str) -> None:
    pytest.importorskip("mpi4py", reason="needs mpi4py: run the tests in the trainer's environment")
    if library == "debian" and not DEBIAN_MPI.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"Debian's Open MPI is not there ({DEBIAN_MPI})")
    program = idle.folder / "allreduce.py"
    program.write_text(ALLREDUCE)
    binaries = {"pypi": str(Path(sys.executable).parent), "debian": "/usr/bin"}[library]
    lines = [f"export PATH={binaries}:$PATH"]
    if library == "debian":
        lines.append(f"export MPI4PY_LIBMPI={DEBIAN_MPI}")
    job = idle.submit("\n".join([*lines, f"{launcher} {sys.executable} {program}"]), "-N2", "--ntasks-per-node=2")
    assert idle.end(job, 120) == "COMPLETED", idle.log(job)
    seen = sorted(path.read_text() for path in idle.folder.glob(f"ranks-{job}-*"))
    version = {"pypi": "v5", "debian": "v4"}[library]
    assert seen == [f"{rank} 4 node0{1 + rank // 2} 6 Open MPI {version}\n" for rank in range(4)], idle.log(job)


def test_a_job_runs_as_the_user_who_submitted_it(idle: Slurm) -> None:
    words, env = login.command_line(
        idle.sandbox, ["sbatch", "--parsable", "-N2", "-o", "user.log", "--wrap", "srun id -un"], "nobody", Path("/tmp")
    )
    job = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.strip()
    assert idle.end(job) == "COMPLETED"
    # The nodes have a /tmp of their own: the log is on the first of them, and not on this machine.
    words, env = login.command_line(idle.sandbox, ["cat", "/tmp/user.log"], "nobody", Path("/tmp"), node="node01")
    assert subprocess.run(words, env=env, capture_output=True, text=True).stdout == "nobody\nnobody\n"
    assert not Path("/tmp/user.log").exists()


def test_nodes_are_hosts_of_their_own(idle: Slurm) -> None:
    body = "srun bash -c 'echo $(hostname) $(hostname -i) $(ls /tmp/mark 2>&1); touch /tmp/mark'"
    job = idle.submit(body, "-N2")
    assert idle.end(job) == "COMPLETED"
    lines = idle.log(job).splitlines()
    assert sorted(line.split()[:2] for line in lines if line.startswith("node")) == [
        ["node01", "10.77.1.1"],
        ["node02", "10.77.1.2"],
    ]
    assert idle.log(job).count("cannot access '/tmp/mark'") == 2
    assert not Path("/tmp/mark").exists()


def test_modules_of_the_site_load_and_others_do_not(idle: Slurm) -> None:
    job = idle.submit("module restore dl_tutorial && module list 2>&1\nmodule load NoSuchModule/1.0 || echo refused")
    assert idle.end(job) == "COMPLETED"
    assert re.search(r"1\) dl_tutorial", idle.log(job))
    assert "The following module(s) are unknown" in idle.log(job)
    assert "refused" in idle.log(job)


def test_saved_modules_stay_out_of_the_users_home(idle: Slurm) -> None:
    before = sorted((Path.home() / ".lmod.d").glob("*"))
    assert "mine" in idle.run("bash", "-c", "module load dl_tutorial; module save mine; module savelist 2>&1").stdout
    assert sorted((Path.home() / ".lmod.d").glob("*")) == before


def test_a_reservation_admits_the_job_and_keeps_no_node_from_others(idle: Slurm) -> None:
    inside = idle.submit("srun true", "-N2", "--reservation=course")
    outside = idle.submit("srun true", "-N3")
    assert (idle.end(inside), idle.end(outside)) == ("COMPLETED", "COMPLETED")
    refused = idle.run("sbatch", "--reservation=other", "--wrap=true")
    assert "Requested reservation is invalid" in refused.stderr


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["-p", "develgpus", "-N3"], "to start at"),
        (["-p", "develgpus", "-N8", "--gres=gpu:4"], "to start at"),  # more than run here, as many as the site allows
        (["-p", "develgpus", "-N9"], "Requested node configuration is not available"),
        (["-p", "gpus", "--gres=gpu:5"], "Requested node configuration is not available"),
        (["-p", "batch", "--gres=gpu:1"], "Requested node configuration is not available"),
        (["-p", "nosuch"], "Invalid partition name specified"),
    ],
)
def test_the_scheduler_judges_as_the_sites_would(idle: Slurm, options: list[str], answer: str) -> None:
    done = idle.run("sbatch", "--test-only", *options, "--wrap=true")
    assert answer in done.stderr
    assert (done.returncode == 0) == (answer == "to start at")


def test_a_job_that_fits_waits_for_the_running_nodes(idle: Slurm) -> None:
    jobs = [idle.submit("echo started; sleep 60", "--exclusive", "-N2", "-p", "gpus") for _ in range(2)]
    idle.wait_running(jobs[0])
    shown = idle.out("squeue", "--noheader", f"--jobs={jobs[1]}", "--format=%T %r").split()
    assert shown[0] == "PENDING"
    assert shown[1] in {"Resources", "Priority", "None"}
    idle.run("scancel", jobs[0])
    idle.wait_running(jobs[1])


def test_a_job_for_more_nodes_than_run_is_held_with_the_reason(idle: Slurm) -> None:
    job = idle.submit("true", "-N8", "-p", "develgpus")
    wait_until(
        lambda: (
            "PENDING" in idle.out("squeue", "-h", f"--jobs={job}", "--format=%T %k %r")
            and "not the nodes that run here" in idle.out("squeue", "-h", f"--jobs={job}", "--format=%k")
        ),
        60,
        "the hold",
    )
    assert "held" in idle.out("squeue", "-h", f"--jobs={job}", "--format=%r")
