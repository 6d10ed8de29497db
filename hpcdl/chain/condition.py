"""When a stage begins: in sbatch's words, and judged from the states of the runs that it waits for (pure)."""

from collections.abc import Mapping, Sequence
from enum import Enum

from hpcdl.chain.chainfile import Condition
from hpcdl.run.states import State

KINDS = {"all": "afterok", "any": "afterok", "each": "after", "ended": "afterany"}
"""sbatch's kinds of dependency (https://slurm.schedmd.com/sbatch.html, --dependency)."""
_WAITING = (State.SUBMITTING, State.PENDING, State.UNKNOWN)


class Met(Enum):
    """Whether a stage may begin."""

    YES = "yes"
    OPEN = "open"
    NEVER = "never"


def dependency(after: Mapping[str, Condition], jobs: Mapping[str, Sequence[str]]) -> str:
    """Return sbatch's --dependency.

    >>> dependency({"a": "each"}, {"a": ["7_0", "7_1"]})
    'after:7_0?after:7_1'
    >>> dependency({"a": "all", "b": "ended"}, {"a": ["7"], "b": ["8"]})
    'afterok:7,afterany:8'

    Args:
        jobs: the ids of each stage's runs.
    """
    together = "?" if {"any", "each"} & set(after.values()) else ","  # one is enough, or all must hold
    return together.join(f"{KINDS[condition]}:{job}" for name, condition in after.items() for job in jobs[name])


def judge(after: Mapping[str, Condition], states: Mapping[str, Sequence[State]]) -> Met:
    """Return whether a stage may begin.

    Args:
        states: of each stage's runs.
    """
    asked = set(after.values())
    everything = [state for name in after for state in states[name]]
    good = [state for state in everything if state is State.COMPLETED]
    if "each" in asked:
        return Met.YES if any(state not in _WAITING for state in everything) else Met.OPEN
    if "any" in asked:
        return Met.YES if good else Met.NEVER if all(state.ended for state in everything) else Met.OPEN
    wanted = [state for name, condition in after.items() if condition == "all" for state in states[name]]
    if any(state.ended and state is not State.COMPLETED for state in wanted):
        return Met.NEVER
    return Met.YES if all(state.ended for state in everything) else Met.OPEN
