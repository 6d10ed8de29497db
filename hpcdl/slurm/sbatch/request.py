"""What sbatch has understood so far: the request that it would send to the controller."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpcdl.slurm.sbatch.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything outside the script on which its reading depends.

    Attributes:
        environment: the variables sbatch would see.
        folder: its working directory.
        now: seconds since 1970, for --begin and --deadline.
        is_root: whether it may use --uid and --gid.
        configuration: the facts of slurm.conf.
        version: Slurm's version, such as (22, 5).
        is_forgiving: whether to take what only some sites have: options of well-known plugins, resources besides GPUs.
        plugin_options: the options that plugins add at this very site.
    """

    environment: dict[str, str]
    folder: Path
    now: float
    is_root: bool
    configuration: Configuration
    version: tuple[int, int]
    is_forgiving: bool = False
    plugin_options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Setting:
    """One option in force.

    Attributes:
        name: its long name.
        value: as the user wrote it, quotes removed; for an option written without a value, sbatch's own word for it.
        understood: what `sbatch -v` prints for it; None where it prints nothing.
        source: "script", "environment" or "command line".
        line: the script's line (1 is the first), None for the other sources.
        origin: how it was spelt there, such as "-N", "#PBS -l" or "SBATCH_PARTITION".
        repeated: the lines (the last ten) that set it before; their values are lost (--mail-type: added to).
    """

    name: str
    value: str
    understood: str | None
    source: str
    line: int | None
    origin: str
    repeated: tuple[int, ...] = ()


@dataclass(slots=True)
class State:
    """How an option came to be set. `by_environment` outlives `is_set`, as in sbatch."""

    is_set: bool = False
    by_environment: bool = False
    value: str | None = None
    source: str = ""
    line: int | None = None
    origin: str = ""
    repeated: tuple[int, ...] = ()


@dataclass(slots=True)
class Request:
    """The fields of a request by sbatch's own names (a missing one has its default) and how each option was set."""

    surroundings: Surroundings
    fields: dict[str, Any] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(name, default)

    def is_set(self, option: str) -> bool:
        return option in self.states and self.states[option].is_set

    def by_user(self, option: str) -> bool:
        """Whether the script or the command line had the last word on an option."""
        return self.is_set(option) and not self.states[option].by_environment

    def by_environment(self, option: str) -> bool:
        return option in self.states and self.states[option].by_environment

    def forget(self, option: str, *fields: str) -> None:
        """Undo an option, the way sbatch drops one that another excludes."""
        for name in fields or (option,):
            self.fields.pop(name, None)
        if option in self.states:
            self.states[option].is_set = False
