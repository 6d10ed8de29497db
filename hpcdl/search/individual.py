"""One individual of a search, and what became of it."""

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["completed", "stopped", "failed", "repeated"]
STATES: dict[State, str] = {
    "completed": "trained to its end",
    "stopped": "stopped by the clock; counts with the last epoch that it completed",
    "failed": "reached nothing that counts; it is worse than any other",
    "repeated": "has the values of an earlier individual; not trained again, it counts with what that one reached",
}

PARENTS, RESULT = "parents", "result"
"""The attributes of Optuna's trials that hold the numbers of the parents, and the fields of Result."""


@dataclass(frozen=True)
class Result:
    """What became of an individual."""

    state: State
    fitness: float | None
    """The objective; None of one that failed."""
    reason: str | None = None
    """Why it failed or was stopped, in a sentence."""
    hours: float = 0.0
    """What it cost, in the unit of the budget."""
    epochs: int | None = None
    """Complete ones."""
    test_accuracy: float | None = None
    """Not looked at by the search."""
    run: str | None = None
    """The folder of its run, from the search's folder on."""


@dataclass(frozen=True)
class Individual:
    """A point of the space."""

    number: int
    """From 0, over the whole search; Optuna's number of the trial."""
    generation: int
    """From 0."""
    values: dict[str, Any]
    """By dotted key of the job file."""
    parents: tuple[int, ...] = ()
    """The numbers of those whose values it got; none for one that was drawn."""
    result: Result | None = None
    """None until it is known."""

    @property
    def fitness(self) -> float | None:
        """The objective, None of one that failed or whose end is not known."""
        return self.result.fitness if self.result else None
