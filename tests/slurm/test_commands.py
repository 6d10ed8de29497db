"""The commands of `hpcdl sandbox` on one that is up: what they do, and what they refuse in one sentence."""

import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from slurm_session import Slurm

from hpcdl.sandbox import daemons, faults


def hpcdl(slurm: Slurm, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    full = [sys.executable, "-m", "hpcdl", "sandbox", command, "--name", slurm.sandbox.name, *words]
    return subprocess.run(full, capture_output=True, text=True, timeout=90)


def test_drain_and_restore(idle: Slurm) -> None:
    assert hpcdl(idle, "drain", "node02").returncode == 0
    keeper = idle.sandbox.require_keeper()
    assert "DRAIN" in faults.node_state(keeper, "node02")
    assert hpcdl(idle, "restore", "node", "node02").returncode == 0
    assert faults.node_state(keeper, "node02") == "IDLE"


def test_fail_and_restore_slurmdbd(idle: Slurm) -> None:
    keeper = idle.sandbox.require_keeper()
    assert hpcdl(idle, "fail", "slurmdbd").returncode == 0
    assert not daemons.runs(keeper, "slurmdbd")
    again = hpcdl(idle, "fail", "slurmdbd")
    assert again.returncode == 2
    assert "no slurmdbd runs" in again.stderr
    assert "slurmdbd IS DEAD" in hpcdl(idle, "status").stdout
    assert hpcdl(idle, "restore", "slurmdbd").returncode == 0
    assert "slurmdbd runs" in hpcdl(idle, "status").stdout


def test_restart_gives_another_controller(idle: Slurm) -> None:
    keeper = idle.sandbox.require_keeper()
    before = daemons.must_run(keeper, ["pidof", "slurmctld"])
    assert hpcdl(idle, "restart").returncode == 0
    assert daemons.must_run(keeper, ["pidof", "slurmctld"]) != before


def test_preempt_and_expire_take_a_running_job(idle: Slurm) -> None:
    job = idle.submit("echo started; sleep 600", "--no-requeue", "--time=00:10:00")
    idle.wait_running(job)
    assert hpcdl(idle, "expire", job, "--in", "300").returncode == 0
    begin, end = idle.out("squeue", "--noheader", f"--jobs={job}", "--format=%S %e").split()
    assert timedelta(seconds=298) < datetime.fromisoformat(end) - datetime.fromisoformat(begin) < timedelta(seconds=360)
    assert hpcdl(idle, "preempt", job).returncode == 0
    assert idle.end(job) == "PREEMPTED"
    assert "preemptor" not in idle.out("sinfo")


@pytest.mark.parametrize(
    ("command", "words", "complaint"),
    [
        ("drain", ["node99"], "no node 'node99' runs here; there are node01, node02, node03,"),
        ("fail", ["node", "node99"], "no node 'node99' is alive"),
        ("fail", ["node"], "which node?"),
        ("restore", ["node", "login"], "no node 'login' runs here"),
        ("restart", ["node"], "a node is no daemon"),
        ("preempt", ["4000000"], "job 4000000 does not run"),
        ("expire", ["$(reboot)"], "is no job id"),
        ("exec", ["--user", "no-such-user", "true"], "there is no user 'no-such-user'"),
        ("exec", ["--node", "node99", "true"], "no node 'node99' is alive"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(slurm: Slurm, command: str, words: list[str], complaint: str) -> None:
    done = hpcdl(slurm, command, *words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
