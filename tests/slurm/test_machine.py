"""The machine under a sandbox: nothing is left behind, and a broken `up` is repaired, not doubled."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpcdl.sandbox import daemons, namespaces, packages, state
from hpcdl.sandbox.state import Sandbox
from hpcdl.sandbox.waiting import wait_until

HPCDL = [sys.executable, "-m", "hpcdl", "sandbox"]


def hpcdl(*words: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HPCDL, *words], capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A name for a sandbox of this test alone; whatever is up under it is taken down."""
    sandbox = Sandbox(f"machine-{os.getpid()}")
    yield sandbox
    assert hpcdl("down", "--name", sandbox.name).returncode == 0


def machine(sandbox: Sandbox) -> dict[str, object]:
    """Wherever a sandbox could leave a trace; of the processes and cgroups only the sandbox's own."""

    def show(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    mentions = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                text = (
                    (folder / "cmdline").read_bytes()
                    + (folder / "environ").read_bytes()
                    + os.readlink(folder / "cwd").encode()
                )
            except OSError:
                continue  # a process of the kernel, or ended meanwhile
            if sandbox.name.encode() in text:
                mentions.append(text)
    return {
        "network namespaces": show("ip", "netns", "list"),
        "links": show("ip", "-oneline", "link"),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "hosts": Path("/etc/hosts").read_bytes(),
        "processes": mentions,
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/hpcdl-sandbox/{sandbox.name}")],
        "folder": sandbox.folder.exists(),
        "etc": sorted(
            str(path)
            for path in [*Path("/etc/slurm").glob("*"), *Path("/etc/munge").glob("*"), *Path("/run").glob("munge*")]
        ),
        "policy": packages.POLICY.exists(),
    }


def test_down_leaves_the_machine_as_it_was(sandbox: Sandbox) -> None:
    before = machine(sandbox)
    up = hpcdl("up", "--site", "jureca", "--nodes", "2", "--name", sandbox.name)
    assert up.returncode == 0, up.stderr
    # A running job and a process that has left its session must go, too.
    script = "srun sleep 600 & setsid sleep 601 & wait"
    done = hpcdl("exec", "--name", sandbox.name, "--", "sbatch", "-N2", "-o", "/dev/null", "--wrap", script)
    assert done.returncode == 0, done.stderr
    keeper = sandbox.require_keeper()
    wait_until(lambda: "sleep" in daemons.run(keeper, ["ps", "-e", "-o", "args="]).stdout, 30, "the job")
    during = machine(sandbox)
    assert during["processes"]
    assert {**during, "processes": [], "folder": False, "cgroups": []} == before, "up changed the machine itself"

    assert hpcdl("down", "--name", sandbox.name).returncode == 0
    assert machine(sandbox) == before


def test_up_takes_15_s_and_down_5_s_at_most(sandbox: Sandbox) -> None:
    ups, downs = [], []
    for _ in range(3):  # what else runs on this machine may spoil one or two
        begin = time.monotonic()
        assert hpcdl("up", "--site", "jureca", "--nodes", "4", "--name", sandbox.name).returncode == 0
        ups.append(time.monotonic() - begin)
        begin = time.monotonic()
        assert hpcdl("down", "--name", sandbox.name).returncode == 0
        downs.append(time.monotonic() - begin)
        if min(ups) < 15 and min(downs) < 5:
            return
    pytest.fail(f"up took {ups} s, down {downs} s")


def one_of_each(sandbox: Sandbox, nodes: int) -> None:
    """Assert that the sandbox is whole and nothing in it runs twice; jureca has two kinds of nodes."""
    keeper = sandbox.require_keeper()
    assert len(sandbox.node_keepers) == 2 * nodes
    marks = [mark for mark in _marks() if mark.split("/")[0] == sandbox.name]
    assert len(marks) == len(set(marks)) == 1 + 2 * nodes
    running = daemons.run(keeper, ["ps", "-e", "-o", "comm="]).stdout.split()
    assert (running.count("munged"), running.count("slurmctld"), running.count("slurmd")) == (1, 1, 2 * nodes)
    shown = daemons.must_run(keeper, ["sinfo", "-h", "-N", "-t", "idle", "-o", "%N %t"])
    idle = {line for line in shown.splitlines() if line.endswith(" idle")}
    assert len(idle) == 2 * nodes


def _marks() -> list[str]:
    """The marks of all first processes of a PID namespace, one for each process: a dict would hide a double."""
    marks = []
    for folder in Path("/proc").iterdir():
        try:
            text = (folder / "environ").read_bytes().split(b"\0")
            if folder.name.isdigit() and (folder / "comm").read_text() == "sleep\n":
                marks += [
                    word.decode().split("=", 1)[1] for word in text if word.startswith(f"{namespaces.MARK}=".encode())
                ]
        except OSError:
            continue
    return marks


MOMENTS: dict[str, Callable[[Sandbox], bool]] = {
    "the folder is made": lambda sandbox: sandbox.folder.exists(),
    "the files are written": lambda sandbox: (sandbox.folder / "lmod").exists(),
    "the login node lives": lambda sandbox: sandbox.keeper is not None,
    "a compute node lives": lambda sandbox: bool(sandbox.node_keepers),
    "slurmctld has written its log": lambda sandbox: (sandbox.folder / "log" / "slurmctld.log").exists(),
    "a slurmd has written its log": lambda sandbox: (sandbox.folder / "log" / "slurmd.node01.log").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_up_that_was_killed_is_repaired_by_the_next(sandbox: Sandbox, moment: str) -> None:
    victim = subprocess.Popen(
        [*HPCDL, "up", "--nodes", "2", "--name", sandbox.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not MOMENTS[moment](sandbox) and victim.poll() is None and time.monotonic() < deadline:
        pass
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    again = hpcdl("up", "--nodes", "2", "--name", sandbox.name)
    assert again.returncode == 0, again.stderr
    one_of_each(sandbox, 2)


def test_a_second_up_starts_what_is_missing_and_keeps_what_runs(sandbox: Sandbox) -> None:
    assert hpcdl("up", "--nodes", "2", "--name", sandbox.name).returncode == 0
    keeper = sandbox.require_keeper()
    job = daemons.must_run(
        keeper, ["sbatch", "--parsable", "-o", "/dev/null", "-w", "node02", "--wrap", "sleep 600"]
    ).strip()
    wait_until(lambda: _state_of(keeper, job) == "RUNNING", 30, "the job")
    daemons.stop(keeper, "slurmctld")
    namespaces.end(sandbox.node_keepers["node01"])
    daemons.run(sandbox.node_keepers["node09"], ["pkill", "-KILL", "-x", "slurmd"])
    again = hpcdl("up", "--nodes", "2", "--name", sandbox.name)
    assert again.returncode == 0, again.stderr
    assert sandbox.require_keeper() == keeper
    assert _state_of(keeper, job) == "RUNNING"
    daemons.must_run(keeper, ["scancel", job])
    wait_until(lambda: _state_of(keeper, job) != "COMPLETING", 30, "the job's end")
    one_of_each(sandbox, 2)


def _state_of(keeper: int, job: str) -> str:
    return daemons.must_run(keeper, ["squeue", "-h", "-j", job, "-o", "%T"]).strip()


def test_two_ups_at_once_make_one_sandbox(sandbox: Sandbox) -> None:
    both = [
        subprocess.Popen(
            [*HPCDL, "up", "--nodes", "2", "--name", sandbox.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for one in both:
        _, complaint = one.communicate(timeout=90)
        assert one.returncode == 0, complaint
    one_of_each(sandbox, 2)


def test_two_sandboxes_side_by_side_do_not_see_each_other(sandbox: Sandbox) -> None:
    other = Sandbox(f"other-{os.getpid()}")
    try:
        for one in (sandbox, other):
            up = hpcdl("up", "--nodes", "1", "--name", one.name)
            assert up.returncode == 0, up.stderr
        job = daemons.must_run(sandbox.require_keeper(), ["sbatch", "--parsable", "--hold", "--wrap=true"]).strip()
        assert _state_of(sandbox.require_keeper(), job) == "PENDING"
        assert daemons.must_run(other.require_keeper(), ["squeue", "-h"]) == ""
    finally:
        assert hpcdl("down", "--name", other.name).returncode == 0
    one_of_each(sandbox, 1)


def test_a_large_site_is_judged_with_one_node_of_it(sandbox: Sandbox) -> None:
    assert hpcdl("up", "--site", "jureca-dc", "--nodes", "1", "--name", sandbox.name).returncode == 0
    keeper = sandbox.require_keeper()

    def ask(*options: str) -> str:
        return daemons.run(keeper, ["sbatch", "--test-only", *options, "--wrap=true"]).stderr

    assert "using 3072 processors on nodes node[01-24] in partition dc-gpu" in ask(
        "-p", "dc-gpu", "-N24", "--gres=gpu:4"
    )
    assert "Requested node configuration is not available" in ask("-p", "dc-gpu", "-N25")
    assert "Requested node configuration is not available" in ask("-p", "dc-gpu-devel", "-N5")
    assert "Requested node configuration is not available" in ask("-p", "dc-cpu", "-N1", "--gres=gpu:1")


def test_an_account_of_the_site_is_accepted_and_another_refused(sandbox: Sandbox) -> None:
    up = hpcdl("up", "--nodes", "1", "--name", sandbox.name, "--accounting", "--account", "course")
    assert up.returncode == 0, up.stderr
    keeper = sandbox.require_keeper()
    refused = daemons.run(keeper, ["sbatch", "--account=nosuch", "--wrap=true"])
    assert "Invalid account or account/partition combination specified" in refused.stderr
    job = daemons.must_run(keeper, ["sbatch", "--parsable", "-A", "course", "-o", "/dev/null", "--wrap=true"]).strip()
    question = ["sacct", "-X", "--noheader", "--parsable2", "--format=Account,State", f"--jobs={job}"]
    wait_until(lambda: daemons.must_run(keeper, question) == "course|COMPLETED\n", 60, "the job's line in sacct")


def test_other_settings_are_refused_while_it_is_up(sandbox: Sandbox) -> None:
    assert hpcdl("up", "--nodes", "1", "--name", sandbox.name).returncode == 0
    refused = hpcdl("up", "--nodes", "2", "--name", sandbox.name)
    assert refused.returncode == 2
    assert f"hpcdl sandbox down --name {sandbox.name}" in refused.stderr
    one_of_each(sandbox, 1)


def test_exec_passes_the_exit_code_the_folder_and_the_words_on(sandbox: Sandbox, tmp_path: Path) -> None:
    assert hpcdl("up", "--nodes", "1", "--name", sandbox.name).returncode == 0
    odd = tmp_path / "a folder with 'quotes'; echo $HOME"
    odd.mkdir()
    words = ["exec", "--name", sandbox.name, "--", "sh", "-c", 'pwd; echo "$1"; exit 7', "sh", "a  b; $x"]
    done = subprocess.run(
        [*HPCDL, *words], cwd=odd, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stdout) == (7, f"{odd}\na  b; $x\n")


ROOT = Path(__file__).parents[2]


def test_nothing_up_is_said_in_one_sentence(sandbox: Sandbox) -> None:
    done = hpcdl("exec", "--name", sandbox.name, "--", "sinfo")
    assert done.returncode == 2
    assert (
        done.stderr
        == f"error: no sandbox '{sandbox.name}' is up; start it with `hpcdl sandbox up --name {sandbox.name}`.\n"
    )
    assert hpcdl("status", "--name", sandbox.name).returncode == 1
    assert "nothing to do" in hpcdl("down", "--name", sandbox.name).stdout
    assert sandbox.name not in state.names()
