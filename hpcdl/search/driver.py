"""The search itself: draw a generation, train it, write down what became of it, until generations or budget end."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from hpcdl.errors import JobFileError
from hpcdl.search.individual import Individual, Result, State
from hpcdl.search.plan import Plan
from hpcdl.search.record import Record

ROUNDING = 1 + 1e-9
"""Hours are sums of fractions; a budget that is met exactly is not exceeded."""
Ending = Literal["finished", "budget", "running"]


class Evaluator(Protocol):
    """What trains individuals."""

    def has_begun(self, generation: int) -> bool:
        """Tell whether a generation was given to it before, by this process or an earlier one."""

    def __call__(self, generation: int, individuals: Sequence[Individual]) -> Iterable[tuple[Individual, Result]]:
        """Train a generation and yield each individual whose end is known.

        It is called again with the same individuals after an interruption, and trains none a second time. Where it
        does not wait, those that are still at work are left out.
        """


def search(plan: Plan, record: Record, evaluate: Evaluator, tell: Callable[[str], None]) -> Ending:
    """Go on with a search as far as it goes.

    Args:
        record: what is known; all that becomes known is written there at once.
        tell: is told, in a line each, how it goes.

    Returns:
        `finished`, `budget` (the next generation could have exceeded it) or `running` (the evaluator does not wait).
    """
    for generation in range(plan.search.num_generations):
        members = record.draw(generation)
        first_of = _first_with_the_same_values(record.individuals())
        trained = [one for one in members if first_of[one.number] == one.number and _is_good(plan, record, one)]
        waiting = [one for one in trained if one.result is None]
        if waiting and not evaluate.has_begun(generation):
            needed = len(waiting) * plan.individual_hours
            if used_hours(record) + needed > plan.search.budget.hours * ROUNDING:
                return "budget"
        if waiting:
            for individual, result in evaluate(generation, trained):
                if individual.result is None:
                    record.tell(individual.number, result)
        known = record.individuals()
        for individual in members:
            twin = known[first_of[individual.number]]
            if known[individual.number].result is None and twin.result:
                record.tell(individual.number, _repeated(twin))
        if any(one.result is None for one in record.draw(generation)):
            return "running"
        if any(one.result is None for one in members):  # when it was called
            tell(in_words(generation, record))
    return "finished"


def used_hours(record: Record) -> float:
    """Return what the search has cost so far, in the budget's unit."""
    return sum(individual.result.hours for individual in record.individuals() if individual.result)


def best_first(individuals: Sequence[Individual], maximizes: bool) -> list[Individual]:
    """Return the individuals with a fitness, the best first, of equals the earlier one."""
    sign = -1 if maximizes else 1
    ranked = [(sign * one.fitness, one.number, one) for one in individuals if one.fitness is not None]
    return [one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])]


def in_words(generation: int, record: Record) -> str:
    """Return a line on a generation that has ended."""
    search = record.search
    members = [one for one in record.individuals() if one.generation == generation]
    ranked = best_first(members, search.objective.maximizes)
    best = f"best {ranked[0].fitness:.4f} (individual {ranked[0].number})" if ranked else "none that counts"
    failed = sum(one.result is not None and one.result.state == "failed" for one in members)
    return (
        f"generation {generation + 1} of {search.num_generations}: {best}, {failed} failed; "
        f"{used_hours(record):.4g} of {search.budget.hours:g} {search.budget.unit}"
    )


def _first_with_the_same_values(individuals: Sequence[Individual]) -> dict[int, int]:
    """Return, for the number of each individual, that of the first one with its values."""
    first: dict[str, int] = {}
    return {one.number: first.setdefault(repr(sorted(one.values.items())), one.number) for one in individuals}


def _is_good(plan: Plan, record: Record, individual: Individual) -> bool:
    """Tell whether an individual can be trained. One whose values do not go together has failed."""
    try:
        plan.individual(individual.values)
    except JobFileError as fault:
        if individual.result is None:
            record.tell(individual.number, Result("failed", None, str(fault)))
        return False
    return True


def _repeated(twin: Individual) -> Result:
    assert twin.result
    known = twin.result
    reason = f"has the values of individual {twin.number}" + (f", which failed: {known.reason}" if known.reason else "")
    state: State = "failed" if known.fitness is None else "repeated"
    return Result(state, known.fitness, reason, 0.0, known.epochs, known.test_accuracy, known.run)
