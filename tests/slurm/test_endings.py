"""How jobs end on a real Slurm, and that the fixtures of the collector say the same."""

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_session import Slurm

from hpcdl.sandbox import faults, nodes
from hpcdl.sandbox.waiting import wait_until

KEPT = Path(__file__).parents[1] / "logs" / "slurm"
STATES = {
    "time-limit": "TIMEOUT",
    "cancelled": "CANCELLED",
    "node-failure": "NODE_FAIL",
    # The kernel tells Slurm. Where there is no memory cgroup slurmd samples and kills: then it is FAILED.
    "out-of-memory": "OUT_OF_MEMORY" if nodes.has_memory_cgroup() else "FAILED",
    # The step is OUT_OF_MEMORY; the script goes on, and ends with srun's exit code.
    "out-of-memory-in-step": "FAILED",
    "missing-module": "FAILED",
    "missing-output-folder": "FAILED",
    "preempted": "PREEMPTED",
}
EAT = f"{sys.executable} -c 'eaten = bytearray(400 << 20); import time; time.sleep(10); print(len(eaten))'"


@pytest.fixture(scope="module")
def ended(slurm: Slurm) -> dict[str, str]:
    """Let one job end in each way, all at the same time, and return their ids."""
    sleeper = "echo started\nsrun sleep 600\necho never"
    jobs = {
        "time-limit": slurm.submit(sleeper, "-w", "node01", "--time=00:10:00", "--mem=1G"),
        "cancelled": slurm.submit(sleeper, "-w", "node01", "--mem=1G"),
        "node-failure": slurm.submit(sleeper, "-w", "node02,node03", "-N2", "--no-requeue", "--mem=1G"),
        "preempted": slurm.submit(sleeper, "-p", "batch", "--no-requeue", "--mem=1G"),
    }
    trap = "trap 'echo warned' USR1\necho started\nsleep 600 &\nwait\nwait"
    jobs["warned"] = slurm.submit(trap, "-w", "node01", "--time=00:10:00", "--mem=1G", "--signal=B:USR1@20")
    slurm.wait_running(*jobs.values())
    # slurmctld looks every 30 s, so it passes at least once before this job's end.
    faults.expire(slurm.sandbox, jobs["warned"], 31)
    faults.expire(slurm.sandbox, jobs["time-limit"], faults.SOONEST_END)
    dying = threading.Thread(target=faults.fail_node, args=(slurm.sandbox, "node03"))
    dying.start()
    slurm.out("scancel", jobs["cancelled"])
    jobs["out-of-memory"] = slurm.submit(f"echo started\n{EAT}", "-w", "node01", "--mem=100M")
    jobs["out-of-memory-in-step"] = slurm.submit(f"echo started\nsrun {EAT}", "-w", "node01", "--mem=100M")
    jobs["missing-module"] = slurm.submit("set -e\nmodule load TensorFlow/99\necho never", "-w", "node01", "--mem=1G")
    jobs["missing-output-folder"] = slurm.submit("echo never", "-w", "node01", "--mem=1G", "--output=nosuch/%j.log")
    faults.preempt(slurm.sandbox, jobs["preempted"])
    dying.join()
    for job in jobs.values():
        slurm.end(job, 120)
    faults.restore_node(slurm.sandbox, slurm.cluster, "node03", slurm.sandbox.read_settings().share)
    return jobs


@pytest.mark.parametrize("ending", STATES)
def test_a_job_ends_in_the_state_of_real_slurm(
    slurm: Slurm, ended: dict[str, str], ending: str, keep: Callable
) -> None:
    job = ended[ending]
    assert slurm.state(job) == STATES[ending]
    shown = slurm.out("scontrol", "show", "job", job)
    log = slurm.folder / f"{job}.log"
    columns = "--format=JobID,JobName,State,ExitCode,DerivedExitCode,Reason"
    accounting = slurm.out("sacct", "--parsable2", f"--jobs={job}", columns)
    text = f"### log\n{log.read_text() if log.exists() else ''}### scontrol show job\n{shown}### sacct\n{accounting}"
    text = _neutral(text, slurm, job)
    if ending.startswith("out-of-memory") and not nodes.has_memory_cgroup():
        return  # the fixtures are of a machine whose kernel keeps memory limits
    keep(ending, text)
    assert _verdict((KEPT / f"{ending}.txt").read_text()) == _verdict(text)


def _verdict(text: str) -> list[str]:
    """What Slurm says of an ending, without times and numbers: the lines that a reader of logs goes by."""
    return re.findall(
        r"JobState=\S+ Reason=\S+|(?<!Derived)ExitCode=\S+|(?<=^1234\|job\.sh\|)[^|]*\|[^|]*", text, re.MULTILINE
    )


def test_what_the_log_says_of_each_ending(slurm: Slurm, ended: dict[str, str]) -> None:
    assert "DUE TO TIME LIMIT" in slurm.log(ended["time-limit"])
    assert slurm.log(ended["warned"]).splitlines()[:2] == ["started", "warned"]
    assert slurm.state(ended["warned"]) == "TIMEOUT"
    assert "CANCELLED AT" in slurm.log(ended["cancelled"])
    assert "Node failure on node03" in slurm.log(ended["node-failure"])
    assert "DUE TO PREEMPTION" in slurm.log(ended["preempted"])
    said = "Detected 1 oom-kill event" if nodes.has_memory_cgroup() else "exceeded memory limit"
    assert said in slurm.log(ended["out-of-memory"])
    assert said in slurm.log(ended["out-of-memory-in-step"])
    assert "TensorFlow/99" in slurm.log(ended["missing-module"])
    assert not any("never" in slurm.log(job) for ending, job in ended.items() if ending != "missing-output-folder")


def test_an_unknown_partition_is_refused(slurm: Slurm, keep: Callable) -> None:
    done = slurm.run("sbatch", "--partition=nosuch", "--wrap=true")
    assert done.returncode == 1
    keep("bad-partition", f"### sbatch\n{done.stderr}")
    assert (KEPT / "bad-partition.txt").read_text() == f"### sbatch\n{done.stderr}"


def test_a_preempted_job_that_may_be_requeued_runs_again(idle: Slurm) -> None:
    job = idle.submit(
        "echo restart ${SLURM_RESTART_COUNT:-0}\nsleep 600", "-p", "batch", "--requeue", "--open-mode=append"
    )
    idle.wait_running(job)
    faults.preempt(idle.sandbox, job)
    # Slurm lets a requeued job wait a while (BeginTime); its administrator may shorten that.
    wait_until(
        lambda: idle.run("scontrol", "update", f"jobid={job}", "starttime=now").returncode == 0, 30, "the requeue"
    )
    wait_until(lambda: "restart 1" in idle.log(job), 60, "the second start")


def test_jobs_outlive_a_restart_of_the_controller(idle: Slurm) -> None:
    running = idle.submit("echo started\nuntil test -e go; do sleep 0.1; done\necho done")
    waiting = idle.submit("echo ran", f"--dependency=afterok:{running}")
    idle.wait_running(running)
    faults.stop_daemon(idle.sandbox, "slurmctld")
    assert "Unable to contact slurm controller" in idle.run("squeue").stderr
    faults.start_daemon(idle.sandbox, "slurmctld")
    (idle.folder / "go").touch()
    assert (idle.end(running), idle.end(waiting)) == ("COMPLETED", "COMPLETED")


def test_accounting_catches_up_after_slurmdbd_was_down(idle: Slurm) -> None:
    faults.stop_daemon(idle.sandbox, "slurmdbd")
    assert "Connection refused" in idle.run("sacct").stderr
    job = idle.submit("echo ran")
    idle.wait_running(job)
    faults.start_daemon(idle.sandbox, "slurmdbd")
    assert idle.end(job) == "COMPLETED"


def test_a_drained_node_takes_no_job_until_it_is_restored(idle: Slurm) -> None:
    faults.drain_node(idle.sandbox, idle.cluster, "node01")
    job = idle.submit("echo ran", "-w", "node01")
    elsewhere = idle.submit("echo ran", "-w", "node02")
    try:
        assert idle.end(elsewhere) == "COMPLETED"
        assert idle.out("squeue", "--noheader", "--format=%T", f"--jobs={job}").strip() == "PENDING"
    finally:
        faults.restore_node(idle.sandbox, idle.cluster, "node01", ())
    assert idle.end(job) == "COMPLETED"


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Write a fixture of the collector anew when the tests run with --regold."""

    def write(name: str, text: str) -> None:
        if request.config.getoption("--regold"):
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{name}.txt").write_text(text)

    return write


def _neutral(text: str, slurm: Slurm, job: str) -> str:
    """Put example values in the place of this machine's: folder, user, job id."""
    text = text.replace(str(slurm.folder), "/home/user/run").replace("root(0)", "user(1000)").replace("by 0", "by 1000")
    text = text.replace(sys.executable, "/home/user/venv/bin/python").replace(slurm.sandbox.name, "default")
    text = re.sub(r"job\d{5}/slurm_script", "job01234/slurm_script", text)
    text = re.sub(r"script-\d+\.sh", "job.sh", text)
    return re.sub(rf"(?<![\d:.=]){job}(?!\d)|(?<=Id=){job}(?!\d)|(?<=StepId=){job}(?!\d)", "1234", text)
