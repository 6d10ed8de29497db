"""Sets of Linux namespaces that stay alive without us, found again by a mark in their keeper's environment.

A keeper is the first process of its own PID namespace: when it dies the kernel ends every process inside, drops the
mounts and takes the network down. Nothing about it is written to disk, so no crash can leave a wrong state.
"""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hpcdl.sandbox.errors import SandboxError
from hpcdl.sandbox.waiting import wait_until

MARK = "HPCDL_SANDBOX_KEEPER"
KINDS = ["--mount", "--uts", "--ipc", "--net", "--pid"]
# SIGCHLD ignored: the kernel then reaps the orphans that a PID namespace hands to its first process.
KEEP = "exec env --ignore-signal=CHLD sleep infinity >/dev/null 2>&1\n"


def start(mark: str, setup: str, parent: int | None = None) -> int:
    """Start a keeper with new namespaces.

    Args:
        mark: the name under which `keepers` finds it.
        setup: lines of sh that run first, inside the namespaces; a failing one stops the keeper.
        parent: PID of the keeper in whose namespaces the new ones are made; None: the machine's.

    Returns:
        Its PID as this process sees it.

    Raises:
        SandboxError: the kernel refused (no rights), or a line of `setup` failed.
    """
    # The setup comes as a file and not with -c: `ps` shall show one short line for a keeper.
    command = ["unshare", *KINDS, "--propagation", "private", "--fork", "--mount-proc", "sh", "-eu", "/dev/stdin"]
    process = subprocess.Popen(
        command if parent is None else entering(parent, command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", MARK: mark},
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        # If we are killed before the last line, the shell finds its input at an end and takes the namespaces with it.
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(setup + "\necho ready\n")
            process.stdin.flush()
            if process.stdout.readline() == "ready\n":
                process.stdin.write(KEEP)
                process.stdin.close()
                return _wait_for(mark)
        raise SandboxError(f"{mark}: the kernel refused the namespaces: {process.stderr.read().strip()}")


def _wait_for(mark: str) -> int:
    """Return the PID of a keeper that is about to be one."""
    found: dict[str, int] = {}

    def look() -> bool:
        found.update(keepers())
        return mark in found

    wait_until(look, 10, f"the keeper of {mark}")
    return found[mark]


def require_root() -> None:
    """Refuse to go on without root.

    Raises:
        SandboxError: we are somebody else.
    """
    if os.geteuid() != 0:
        raise SandboxError("a sandbox lives in network and mount namespaces, so it needs root: run it with sudo.")


def keepers() -> dict[str, int]:
    """Return the PIDs of all live keepers by their mark.

    Raises:
        SandboxError: no root: the environment of root's processes is not ours to read.
    """
    require_root()
    found = {}
    wanted = f"{MARK}=".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if (folder / "comm").read_text() != "sleep\n":
                continue  # a shell on its way to become a keeper, whose environment is away while it changes
            variables = (folder / "environ").read_bytes().split(b"\0")
            mark = next((word[len(wanted) :].decode() for word in variables if word.startswith(wanted)), None)
            # The keeper is number 1 in its own PID namespace; `unshare`, which waits for it outside, is not.
            if mark is not None and _pids(folder)[-1] == 1 and len(_pids(folder)) > 1:
                found[mark] = int(folder.name)
        except OSError:
            continue  # ended while we looked, or not ours to see
    return found


def _pids(folder: Path) -> list[int]:
    """A process's PIDs, from our PID namespace inwards."""
    for line in (folder / "status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return [int(word) for word in line.split()[1:]]
    return [0]


def entering(keeper: int, command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` inside a keeper's namespaces."""
    return ["nsenter", "--target", str(keeper), *KINDS, "--", *command]


def end(keeper: int) -> None:
    """Kill a keeper, and so everything inside its namespaces; return when it is gone."""
    try:
        os.kill(keeper, 9)
    except ProcessLookupError:
        return
    # The kernel lets the first process of a PID namespace go only after all others in there are gone.
    wait_until(lambda: not Path(f"/proc/{keeper}/ns/pid").exists() or _is_zombie(keeper), 20, "the keeper's end")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
