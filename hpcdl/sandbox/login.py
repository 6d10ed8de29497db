"""What a user does in a sandbox: commands on its login node."""

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcdl.sandbox import modules, namespaces
from hpcdl.sandbox.errors import SandboxUsageError
from hpcdl.sandbox.state import Sandbox

STALE = ("SLURM_", "SBATCH_", "SRUN_", "PMI_", "PMIX_", "LMOD_", "BASH_FUNC_")
"""Prefixes of variables that belong to another allocation or another machine's modules."""


def user(asked: str | None, environ: Mapping[str, str]) -> pwd.struct_passwd:
    """Return who a command runs as: whom the caller named, else who called sudo, else root.

    Raises:
        SandboxUsageError: there is no such user.
    """
    name = asked or environ.get("SUDO_USER") or "root"
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise SandboxUsageError(f"there is no user '{name}' on this machine; name another with --user.") from None


def environment(who: pwd.struct_passwd, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a login shell in the sandbox, from that of the caller (pure).

    Jobs inherit it, as they do at a site: `module` is known to a batch script through BASH_ENV.
    """
    kept = {key: value for key, value in environ.items() if not key.startswith(STALE)}
    kept |= {"HOME": who.pw_dir, "USER": who.pw_name, "LOGNAME": who.pw_name, "SHELL": "/bin/bash"}
    kept["BASH_ENV"] = str(modules.PROFILE)
    # The nodes claim more cores than there are: ranks of Open MPI that spin while they wait would starve the others.
    kept.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
    if who.pw_uid == 0:
        # Open MPI's mpirun refuses root unless told twice; nobody is root at a site.
        kept |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return kept


def command_line(
    sandbox: Sandbox,
    command: Sequence[str],
    asked: str | None = None,
    folder: Path | None = None,
    node: str | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Return what runs a command on the sandbox's login node: the words of the command line, and its environment.

    Args:
        sandbox: which one.
        command: the command and its arguments.
        asked: the user it runs as; see `user`.
        folder: where it runs; None: the current folder.
        node: a compute node instead of the login node.

    Raises:
        SandboxUsageError: the sandbox is not up, or there is no such user or node.
    """
    keeper = sandbox.require_keeper() if node is None else sandbox.require_node(node)
    who = user(asked, os.environ)
    identity = (
        [] if who.pw_uid == 0 else ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups", "--"]
    )
    # Entering a mount namespace moves to its root, hence env --chdir.
    words = namespaces.entering(keeper, [*identity, "env", f"--chdir={folder or Path.cwd()}", *command])
    return words, environment(who, os.environ)
