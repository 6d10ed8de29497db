"""The programs that make a Slurm: starting each where it belongs, unless it already runs there."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcdl.sandbox import namespaces
from hpcdl.sandbox.errors import SandboxError
from hpcdl.sandbox.waiting import wait_until

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}
# The PMIx of slurmd shall offer only what every Open MPI's own PMIx has: PyPI's build has neither munge nor
# shared-memory stores, and complains about each on standard error.
PMIX = {"PMIX_MCA_psec": "native", "PMIX_MCA_gds": "hash"}
SOCKET = "/run/mysqld/mysqld.sock"


def run(
    keeper: int, command: Sequence[str], env: Mapping[str, str] = ENVIRONMENT, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command inside a keeper's namespaces; return its end and its output, whatever the exit code.

    Raises:
        SandboxError: it did not end within `seconds`.
    """
    words = namespaces.entering(keeper, command)
    try:
        return subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise SandboxError(f"`{' '.join(command)}` did not end within {seconds:g} s in the sandbox.") from None


def must_run(keeper: int, command: Sequence[str], env: Mapping[str, str] = ENVIRONMENT) -> str:
    """Run a command inside a keeper's namespaces and return its standard output.

    Raises:
        SandboxError: it ended with another code than 0.
    """
    done = run(keeper, command, env)
    if done.returncode:
        raise SandboxError(f"`{' '.join(command)}` failed in the sandbox: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def runs(keeper: int, program: str) -> bool:
    """Tell whether a program runs in a keeper's PID namespace."""
    return run(keeper, ["pidof", program]).returncode == 0


def stop(keeper: int, program: str) -> None:
    """Stop a program as an administrator would, so that it saves its state; return when it is gone."""
    run(keeper, ["pkill", "-TERM", "-x", program])
    wait_until(lambda: not runs(keeper, program), 20, f"the end of {program}")


def start_munged(keeper: int, folder: Path) -> None:
    """Start munged with a key of the sandbox's own."""
    if runs(keeper, "munged"):
        return
    key = folder / "munge.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
    files = [f"--key-file={key}", f"--log-file={folder}/log/munged.log", f"--seed-file={folder}/munge.seed"]
    must_run(keeper, ["munged", *files, "--pid-file=/run/munge/munged.pid", "--socket=/run/munge/munge.socket.2"])


def start_mariadb(keeper: int, folder: Path) -> None:
    """Start a MariaDB with its data in the sandbox's folder, reachable through its socket alone."""
    if runs(keeper, "mariadbd"):
        return
    data = folder / "mariadb"
    if not (data / "mysql").exists():
        must_run(
            keeper,
            [
                "mariadb-install-db",
                "--no-defaults",
                "--user=root",
                f"--datadir={data}",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
        )
    command = [
        "mariadbd",
        "--no-defaults",
        "--user=root",
        f"--datadir={data}",
        f"--socket={SOCKET}",
        "--skip-networking",
    ]
    # Nothing in here outlives the sandbox, so no commit need wait for the disk.
    fast = [
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-lock-wait-timeout=900",
        f"--log-error={folder}/log/mariadb.log",
    ]
    must_run(keeper, ["setsid", "--fork", *command, *fast])
    wait_until(lambda: run(keeper, ["mariadb-admin", f"--socket={SOCKET}", "ping"]).returncode == 0, 30, "MariaDB")


def start_slurmdbd(keeper: int) -> None:
    """Start slurmdbd and wait until it answers."""
    if not runs(keeper, "slurmdbd"):
        must_run(keeper, ["slurmdbd"])
    wait_until(lambda: run(keeper, ["sacctmgr", "--noheader", "list", "cluster"]).returncode == 0, 30, "slurmdbd")


def start_slurmctld(keeper: int) -> None:
    """Start slurmctld and wait until it answers."""
    if not runs(keeper, "slurmctld"):
        must_run(keeper, ["slurmctld"])
    wait_until(lambda: run(keeper, ["scontrol", "ping"]).returncode == 0, 30, "slurmctld (its log is slurmctld.log)")


def start_slurmd(node_keeper: int, node: str) -> None:
    """Start a node's slurmd."""
    if not runs(node_keeper, "slurmd"):
        must_run(node_keeper, ["slurmd", "-N", node], ENVIRONMENT | PMIX)
