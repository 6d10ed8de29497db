"""The packages of Debian or Ubuntu that a sandbox runs on."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from hpcdl.sandbox.errors import SandboxError

NEEDED = {
    "slurmctld": "slurm-wlm",
    "sbatch": "slurm-client",
    "munged": "munge",
    "mpirun.openmpi": "openmpi-bin",
    "ip": "iproute2",
    "unshare": "util-linux",
    "pidof": "sysvinit-utils",
    "pkill": "procps",
}
NEEDED_FILES = {"/usr/share/lmod/lmod/init/bash": "lmod"}
NEEDED_FOR_ACCOUNTING = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}
ACCOUNTING_PLUGIN = "slurm-wlm-mysql-plugin"
POLICY = Path("/usr/sbin/policy-rc.d")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def missing(accounting: bool) -> list[str]:
    """Return the packages that are not installed, in apt's names."""
    programs = NEEDED | (NEEDED_FOR_ACCOUNTING if accounting else {})
    packages = [package for program, package in programs.items() if shutil.which(program, path=SEARCH) is None]
    packages += [package for file, package in NEEDED_FILES.items() if not Path(file).exists()]
    if accounting and not any(Path("/usr/lib").glob("*/slurm*/accounting_storage_mysql.so")):
        packages.append(ACCOUNTING_PLUGIN)
    return packages


def install(packages: list[str]) -> None:
    """Install packages with apt-get, and let none of them start or enable a daemon of its own.

    Raises:
        SandboxError: this system has no apt-get, or it failed.
    """
    if shutil.which("apt-get") is None:
        raise SandboxError(
            f"the sandbox needs the packages {' '.join(packages)}, and this system has no apt-get to install them."
        )
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_daemons():
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode and "install" in command:
                last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
                raise SandboxError(f"`{' '.join(command)}` failed: {' '.join(last)}")


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Forbid the packages' scripts to start daemons, through Debian's own policy-rc.d, for as long as this lasts."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink()
