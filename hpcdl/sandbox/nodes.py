"""The namespaces of the login node and of each compute node."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote

from hpcdl.sandbox import modules, namespaces
from hpcdl.sandbox.cluster import Node
from hpcdl.sandbox.configuration import LOGIN, PREFIX_LENGTH, address
from hpcdl.sandbox.daemons import ENVIRONMENT
from hpcdl.sandbox.errors import SandboxError
from hpcdl.sandbox.waiting import wait_until

BRIDGE = "cluster"
MEMORY_CGROUP = Path("/sys/fs/cgroup/memory")


def start_login(name: str, folder: Path) -> int:
    """Start the namespaces of the login node, with the network that the nodes will be plugged into.

    Inside them, the sandbox's own files lie over /etc/hosts, /etc/slurm and Lmod's set-up, and /run is
    empty, so that neither a munge nor a database of the machine can be reached; outside nothing changes.
    """
    setup = f"""
        echo {LOGIN} > /proc/sys/kernel/hostname
        mount -t tmpfs -o mode=755 tmpfs /run
        mkdir /run/munge /run/mysqld /run/slurm /run/lock
        mount --bind {quote(str(folder))}/hosts /etc/hosts
        mount --bind {quote(str(folder))}/etc /etc/slurm
        mount --bind {quote(str(folder))}/lmod.sh {modules.PROFILE}
        ip link set lo up
        ip link add {BRIDGE} type bridge
        ip address add {address(None)}/{PREFIX_LENGTH} dev {BRIDGE}
        ip link set {BRIDGE} up
    """
    return namespaces.start(name, setup)


def start_node(name: str, login: int, node: Node, share: Sequence[str]) -> int:
    """Start the namespaces of a compute node and plug it into the network.

    It has its own /tmp and /dev/shm, as a real node has: `srun --mpi=pmix` fails while nodes share a /tmp, and ranks of
    Open MPI would take each other for neighbours in one /dev/shm.

    Args:
        name: the sandbox.
        login: the keeper of its login node.
        node: which one.
        share: folders below /tmp that are still the login node's.
    """
    cgroup = _cgroup(name) / node.name
    lines = [f"echo {node.name} > /proc/sys/kernel/hostname"]
    if has_memory_cgroup():
        lines += [
            f"mkdir -p {cgroup} /run/cgroup",
            "mount -t tmpfs tmpfs /run/cgroup",
            "mkdir /run/cgroup/memory",
            f"mount --bind {cgroup} /run/cgroup/memory",
        ]
    lines += ["mount -t tmpfs -o mode=1777 tmpfs /dev/shm"]
    # Held elsewhere while the new /tmp comes over them, then bound back to their place.
    held = [(quote(folder), f"/dev/shm/share{i}") for i, folder in enumerate(share)]
    lines += [f"mkdir {place}; mount --bind {folder} {place}" for folder, place in held]
    lines += ["mount -t tmpfs -o mode=1777 tmpfs /tmp"]
    lines += [
        f"mkdir -p {folder}; mount --bind {place} {folder}; umount {place}; rmdir {place}" for folder, place in held
    ]
    lines += ["ip link set lo up"]
    keeper = namespaces.start(f"{name}/{node.name}", "\n".join(lines) + "\n", parent=login)
    _plug_in(login, keeper, node)
    return keeper


def has_memory_cgroup() -> bool:
    """Tell whether the kernel can keep a job's memory limit here: version 1 of cgroups, memory controller."""
    return (MEMORY_CGROUP / "tasks").exists()


def remove_cgroups(name: str) -> None:
    """Remove the memory cgroups of a sandbox whose processes are all gone."""
    wait_until(lambda: _try_to_remove(_cgroup(name)), 10, f"the end of the processes in {_cgroup(name)}")
    with suppress(OSError):  # another sandbox is up, or there never was one
        _cgroup(name).parent.rmdir()


def _try_to_remove(folder: Path) -> bool:
    """Remove a tree of cgroups, leaves first; False while the kernel is still busy with one."""
    try:
        for path, _, _ in os.walk(folder, topdown=False):
            os.rmdir(path)
    except OSError:
        return False
    return True


def _cgroup(name: str) -> Path:
    return MEMORY_CGROUP / "hpcdl-sandbox" / name


def memory_words() -> str:
    """Say how a job's memory limit is kept."""
    if has_memory_cgroup():
        return "kept by the kernel (cgroup v1), as on a cluster"
    return (
        "sampled by slurmd every two seconds, which then kills the job: this machine has no memory cgroup of version 1"
    )


def _plug_in(login: int, keeper: int, node: Node) -> None:
    """Lay the cable from a node's eth0 to the login node's bridge."""
    cable = f"n{node.number}"
    # The cable of a node that failed can outlive it for a moment.
    run_ip(login, f"link delete {cable}", check=False)
    run_ip(login, f"link add {cable} type veth peer name eth0 netns {keeper}", f"link set {cable} master {BRIDGE} up")
    run_ip(keeper, f"address add {address(node)}/{PREFIX_LENGTH} dev eth0", "link set eth0 up")


def run_ip(keeper: int, *commands: str, check: bool = True) -> None:
    """Run commands of ip(8) in a keeper's network, where PIDs are still the machine's."""
    done = subprocess.run(
        ["nsenter", "--target", str(keeper), "--net", "ip", "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    if check and done.returncode:
        raise SandboxError(f"the sandbox's network: {done.stderr.strip()} (ip {'; '.join(commands)})")
