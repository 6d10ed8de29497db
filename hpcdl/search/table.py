"""What a search found, as tables of the collector: its individuals, and its generations."""

import statistics
from collections.abc import Sequence

from hpcdl.collector.columns import cell, harmless
from hpcdl.collector.records import Record
from hpcdl.collector.table import Shown, Table, shown
from hpcdl.search.driver import best_first
from hpcdl.search.individual import Individual
from hpcdl.search.section import Search

INDIVIDUAL_COLUMNS: dict[str, str] = {
    "individual": "int: its number, from 0; Optuna's number of the trial",
    "generation": "int: from 1",
    "fitness": "float: the objective's metric; empty of one that failed",
    "state": "str: completed, stopped (by the clock), failed, repeated (of an earlier one); empty while unknown",
    "parents": "list of int: the individuals whose values it got",
    "epochs_done": "int: complete epochs",
    "test_accuracy": "float, 0..1: of one that trained to its end; the search does not look at it",
    "hours": "float: what it cost, in GPU hours or core hours as the budget",
    "reason": "str: why it failed, was stopped, or was not trained",
    "run": "str: the folder of its run, from the search's folder on",
}
"""The columns of the individuals; then follow the genes, under their dotted keys."""
GENERATION_COLUMNS = ("generation", "individuals", "best", "mean", "worst", "stopped", "failed", "hours")
BEST = 10
"""Individuals that people see."""


def individuals(search: Search, known: Sequence[Individual]) -> Table:
    """Return the table of all individuals, the best first, those without a fitness last; people see the best of them.

    What failed, and why, stands below it.
    """
    ranked = best_first(known, search.objective.maximizes)
    rest = [individual for individual in known if individual not in ranked]
    records = [_record(individual, search) for individual in [*ranked, *rest]]
    columns = [*INDIVIDUAL_COLUMNS, *search.space]
    seen = ["individual", "generation", "fitness", "parents", "epochs_done", "state", *search.space]
    notes = [
        f"individual {individual.number} {individual.result.state}: {harmless(individual.result.reason)}"
        for individual in known
        if individual.result and individual.result.reason and individual.result.state != "completed"
    ]
    table = Table(records, columns, [_shown(column, search, records) for column in seen], "Individuals", notes)
    return table


def best(search: Search, known: Sequence[Individual]) -> Table:
    """Return what people see of `individuals`: the best of them, and what stands below."""
    whole = individuals(search, known)
    num_ranked = len(best_first(known, search.objective.maximizes))
    return Table(whole.records[: min(BEST, num_ranked)], whole.columns, whole.shown, "Best individuals", whole.notes)


def generations(search: Search, known: Sequence[Individual]) -> Table:
    """Return the table of generations: best, mean and worst fitness of those that have one."""
    records = []
    for number in sorted({individual.generation for individual in known if individual.result}):
        members = [individual for individual in known if individual.generation == number]
        ranked = best_first(members, search.objective.maximizes)
        fitness = [one.fitness for one in ranked if one.fitness is not None]
        states = [one.result.state for one in members if one.result]
        values = {
            "generation": number + 1,
            "individuals": len(members),
            "best": fitness[0] if fitness else None,
            "mean": statistics.fmean(fitness) if fitness else None,
            "worst": fitness[-1] if fitness else None,
            "stopped": states.count("stopped"),
            "failed": states.count("failed"),
            "hours": sum(one.result.hours for one in members if one.result),
        }
        records.append(Record(values, []))
    columns = list(GENERATION_COLUMNS)
    return Table(records, columns, [_shown(column, search, records) for column in columns], "Generations")


def _record(individual: Individual, search: Search) -> Record:
    result = individual.result
    values = {
        "individual": individual.number,
        "generation": individual.generation + 1,
        "fitness": individual.fitness,
        "state": result and result.state,
        "parents": list(individual.parents),
        "epochs_done": result and result.epochs,
        "test_accuracy": result and result.test_accuracy,
        "hours": result and result.hours,
        "reason": result and result.reason,
        "run": result and result.run,
        **individual.values,
    }
    return Record(values, [])


def _shown(column: str, search: Search, records: Sequence[Record]) -> Shown:
    """Return how people see a column: fitness under the metric's name, and rounded as that is."""
    metric = search.objective.metric
    if column in ("fitness", "best", "mean", "worst"):
        name = metric.replace("_", " ") if column == "fitness" else column
        return Shown(name, lambda record: cell(metric, record.values[column]), True, column)
    if column == "hours":
        return Shown(search.budget.unit, lambda record: cell(column, record.values[column]), True, column)
    if column == "epochs_done":
        return Shown("epochs", lambda record: cell(column, record.values[column]), True, column)
    if column == "parents":
        return Shown("parents", lambda record: cell(column, record.values[column] or None), False, column)
    if column in search.space and search.space[column].float:
        return Shown(_gene(column), lambda record: f"{record.values[column]:.4g}", True, column)
    if column in search.space:
        return Shown(_gene(column), lambda record: cell(column, record.values.get(column)), _is_number(search, column))
    return shown(column, records)


def _is_number(search: Search, column: str) -> bool:
    values = search.space[column].choice or [0]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _gene(key: str) -> str:
    """The last word of a key: `filters` for train.model.filters."""
    return harmless(key.rpartition(".")[2])
