"""What differs between the individuals of a search: genes, each a key of the job file with the values it may have."""

import math
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from hpcdl.yamlfile import Section

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = StrictBool | StrictInt | StrictFloat | StrictStr
Integers = Annotated[list[int], Field(min_length=2, max_length=2)]
Floats = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)]
Step = Annotated[float, Field(gt=0)] | None


class Gene(Section):
    """The values of one key: `{choice: [a, b]}`, `{int: [lowest, highest]}` or `{float: [lowest, highest]}`."""

    choice: list[Value] | None = None
    """Values without an order."""
    int: Integers | None = None
    """The lowest and the highest whole number."""
    float: Floats | None = None
    """The lowest and the highest number."""
    step: Step = None
    """int, float: only the lowest value and those a multiple of this above it."""
    log: bool = False
    """int, float: each factor is as likely as any other, not each difference."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Gene":
        given = [kind for kind in ("choice", "int", "float") if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"a gene is one of choice, int and float; this one has {found}.")
        if self.choice is not None:
            if not self.choice:
                raise ValueError("choice: an empty list has no values; give two or more.")
            if len({repr(value) for value in self.choice}) < len(self.choice):
                raise ValueError(f"choice: {self.choice} names a value twice; give each once.")
            if self.step is not None or self.log:
                raise ValueError("step and log are for int and float; leave them out beside choice.")
            return self
        lowest, highest = bounds(self)
        if lowest > highest:
            raise ValueError(f"{given[0]}: {lowest} is more than {highest}; write [lowest, highest].")
        if self.log and (lowest <= 0 or self.step is not None):
            raise ValueError("log: needs a lowest value above 0, and no step.")
        if self.int is not None and self.step is not None and self.step != round(self.step):
            raise ValueError(f"step: {self.step} is no whole number, and the gene is an int.")
        return self


def bounds(gene: Gene) -> tuple[float, float]:
    """Return the lowest and the highest value of an int or a float; with a step the highest that it meets."""
    lowest, highest = gene.int or gene.float or (math.nan, math.nan)
    if gene.step is not None:
        highest = lowest + steps(gene) * gene.step
    return (lowest, highest) if gene.float else (int(lowest), int(highest))


def steps(gene: Gene) -> int:
    """Return how many steps there are between the lowest and the highest value of an int or a float."""
    lowest, highest = gene.int or gene.float or (math.nan, math.nan)
    return math.floor((highest - lowest) / (gene.step or 1) + 1e-9)


def all_values(gene: Gene) -> list[Any] | None:
    """Return every value of a gene in order; None of a float without a step, which has no end of them.

    >>> all_values(Gene(int=[1, 6], step=2)), all_values(Gene(float=[0, 0.3], step=0.1))
    ([1, 3, 5], [0.0, 0.1, 0.2, 0.3])
    """
    if gene.choice is not None:
        return list(gene.choice)
    if gene.float and gene.step is None:
        return None
    lowest, step = bounds(gene)[0], gene.step or 1
    values = [lowest + number * step for number in range(steps(gene) + 1)]
    return [round(value, 12) + 0.0 for value in values] if gene.float else [int(value) for value in values]


def ends(gene: Gene) -> list[Any]:
    """Return the values that are tried alone before a search begins: of a range its ends, else all."""
    return list(gene.choice) if gene.choice is not None else list(dict.fromkeys(bounds(gene)))


def distribution(gene: Gene) -> "BaseDistribution":
    """Return the gene in Optuna's words."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if gene.choice is not None:
        return CategoricalDistribution(gene.choice)
    lowest, highest = bounds(gene)
    if gene.float:
        return FloatDistribution(lowest, highest, log=gene.log, step=gene.step)
    return IntDistribution(int(lowest), int(highest), log=gene.log, step=int(gene.step or 1))


def in_words(gene: Gene) -> str:
    """Return what a person reads of a gene.

    >>> in_words(Gene(int=[4, 32], log=True)), in_words(Gene(choice=["adam", "sgd"]))
    ('int 4 to 32, log', 'choice of adam, sgd')
    """
    if gene.choice is not None:
        return f"choice of {', '.join(map(str, gene.choice))}"
    lowest, highest = bounds(gene)
    more = ", log" if gene.log else f", step {gene.step:g}" if gene.step is not None else ""
    return f"{'float' if gene.float else 'int'} {lowest:g} to {highest:g}{more}"
