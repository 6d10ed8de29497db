"""What is known of a sandbox: its folder, its settings file, and the keepers of its namespaces."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from hpcdl.files import write_atomically
from hpcdl.sandbox import namespaces
from hpcdl.sandbox.errors import SandboxUsageError

ROOT = Path("/var/lib/hpcdl-sandbox")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")


@dataclass(frozen=True)
class Settings:
    """What `up` was asked for."""

    site: str
    nodes: int
    accounting: bool = False
    account: str | None = None
    reservations: tuple[str, ...] = ()
    share: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sandbox:
    """One sandbox by name; it may be up, half up or absent."""

    name: str = "default"

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise SandboxUsageError(
                f"{self.name!r} is no name for a sandbox; write up to 20 small letters, digits and dashes."
            )

    @property
    def folder(self) -> Path:
        """Where its configuration, state and logs lie."""
        return ROOT / self.name

    @property
    def keeper(self) -> int | None:
        """PID of the keeper of the login node's namespaces; None when the sandbox is not up."""
        return namespaces.keepers().get(self.name)

    @property
    def node_keepers(self) -> dict[str, int]:
        """PIDs of the keepers of its live nodes, by node name."""
        marks = namespaces.keepers()
        return {mark.split("/")[1]: pid for mark, pid in marks.items() if mark.startswith(f"{self.name}/")}

    def require_keeper(self) -> int:
        """Return the login node's keeper.

        Raises:
            SandboxUsageError: the sandbox is not up.
        """
        keeper = self.keeper
        if keeper is None:
            raise SandboxUsageError(f"no sandbox '{self.name}' is up; start it with `hpcdl sandbox up{self.option}`.")
        return keeper

    def require_node(self, node: str) -> int:
        """Return the keeper of a compute node.

        Raises:
            SandboxUsageError: the sandbox is not up, or no such node is alive.
        """
        self.require_keeper()
        alive = self.node_keepers
        if node not in alive:
            raise SandboxUsageError(
                f"no node '{node}' is alive in sandbox '{self.name}'; there are {', '.join(sorted(alive))}."
            )
        return alive[node]

    @property
    def option(self) -> str:
        """The option that names it on a command line; empty for the default one."""
        return "" if self.name == Sandbox.name else f" --name {self.name}"

    def read_settings(self) -> Settings | None:
        """Return what it was brought up with; None unless an `up` has finished."""
        try:
            return TypeAdapter(Settings).validate_json((self.folder / "settings.json").read_bytes())
        except FileNotFoundError:
            return None

    def write_settings(self, settings: Settings) -> None:
        """Keep what it was brought up with: the sign that `up` has finished."""
        write_atomically(self.folder / "settings.json", json.dumps(asdict(settings), indent=1) + "\n")


def names() -> list[str]:
    """Return the names of all sandboxes that have a folder or a live keeper."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} if ROOT.is_dir() else set()
    return sorted(folders | {mark for mark in namespaces.keepers() if "/" not in mark})


@contextmanager
def lock() -> Iterator[None]:
    """Hold the lock of all sandboxes, so that two `up` or `down` follow each other."""
    while True:
        ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(ROOT, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        # The holder before us may have been the `down` that removed the folder.
        if ROOT.exists() and os.fstat(handle).st_ino == ROOT.stat().st_ino:
            break
        os.close(handle)
    try:
        yield
    finally:
        os.close(handle)
