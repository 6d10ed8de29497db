"""The real sbatch, with no controller to talk to: it reads a script, prints what it understood and gives up."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

# Nobody listens on port 1, so sbatch gives up at once; the answer comes in about 10 ms.
SLURM_CONF = """
ClusterName=nowhere
SlurmctldHost=localhost
SlurmctldPort=1
AuthType=auth/none
CredType=cred/none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MessageTimeout=1
TCPTimeout=1
"""
HOW = "the real sbatch 22.05 is missing; on Debian 12: apt-get install slurm-client"
# What sbatch says once it has accepted a script and asks the controller (or, for --clusters, the database).
ACCEPTED = (
    "Unable to contact slurm controller",
    "talking to the database",
    "can't be reached now",
    "No clusters can be reached",
)


def start(folder: Path) -> "RealSbatch":
    """Return the real sbatch; install Debian's slurm-client where that is possible, otherwise skip, or fail in CI."""
    if os.getuid() == 0 and shutil.which("apt-get"):
        _install()
    sbatch = RealSbatch(folder)
    version = "none"
    if shutil.which("sbatch"):
        command = ["sbatch", "--version"]
        version = subprocess.run(command, capture_output=True, text=True, check=False, env=sbatch.environment()).stdout
    if "22.05" not in version:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{HOW} (found: {version.strip()})")
    return sbatch


def _install() -> None:
    """Install Debian's slurm-client if sbatch is missing; test workers side by side wait for the first of them."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "slurm-client"]
    with open(Path(tempfile.gettempdir()) / "hpcdl-tests-apt.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (install, ["apt-get", "update"], install):
            if shutil.which("sbatch"):
                break
            subprocess.run(command, check=False, capture_output=True, env=environment)


@dataclass
class RealSbatch:
    """sbatch in a folder of its own."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "slurm.conf").write_text(SLURM_CONF)

    def environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SBATCH_", "SLURM_"))}
        return {**kept, "SLURM_CONF": str(self.folder / "slurm.conf"), "PWD": str(self.folder), **(extra or {})}

    def read(self, script: bytes, arguments=(), extra=None) -> tuple[bool, list[dict[str, str]], str]:
        """Return whether sbatch accepts, the options of each component as it prints them, and all it printed."""
        path = self.folder / f"script{os.getpid()}_{id(script)}.sh"
        path.write_bytes(script)
        try:
            run = subprocess.run(
                ["sbatch", "-v", *arguments, str(path)],
                capture_output=True,
                cwd=self.folder,
                env=self.environment(extra),
                stdin=subprocess.DEVNULL,
                timeout=30,
            )
        finally:
            path.unlink()
        printed = run.stderr.decode("utf-8", "surrogateescape")
        return any(text in printed for text in ACCEPTED), components(printed), printed


def components(printed: str) -> list[dict[str, str]]:
    """Return the options that `sbatch -v` printed, for each component."""
    found: list[dict[str, str]] = []
    inside, name = False, None
    for line in printed.split("\n"):
        if line.startswith(("sbatch: error:", "sbatch: fatal:", "sbatch: Warning", "sbatch: ----")):
            continue
        if line == "sbatch: defined options":
            found.append({})
            inside, name = True, None
        elif line == "sbatch: end of defined options":
            inside = False
        elif inside and (match := re.match(r"sbatch: (\(null\)|[a-z0-9_-]+) *: (.*)", line, re.DOTALL)):
            name = match[1]
            found[-1][name] = match[2]
        elif inside and name:  # a value with a line end in it
            found[-1][name] += f"\n{line}"
    return found


def same(name: str, theirs: str | None, ours: str | None) -> bool:
    """Whether two printed values mean the same; a point in time may be a few seconds off."""
    if name in ("begin", "deadline") and theirs and ours:
        seconds = [time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) for text in (theirs, ours)]
        return abs(seconds[0] - seconds[1]) < 90
    return theirs == ours
