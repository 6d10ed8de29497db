"""The `search:` section of a job file: which individuals a search trains, how it chooses them, and what it may cost."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hpcdl.search.space import Gene, all_values
from hpcdl.values import Positive
from hpcdl.yamlfile import Section

Metric = Literal["loss", "accuracy", "top5_accuracy", "mae", "val_loss", "val_accuracy", "val_top5_accuracy", "val_mae"]
"""What an epoch may measure. Test metrics are not among them: the test images are for the network that was chosen."""
Hours = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1)]

ONLY_GENETIC = ("elitism", "crossover_rate", "mutation_rate")
ELITISM, CROSSOVER_RATE = 1, 0.9
"""What holds where the file says nothing."""


class Objective(Section):
    """What makes one individual better than another: a metric of its last complete epoch."""

    metric: Metric = "val_accuracy"
    direction: Literal["maximize", "minimize"] | None = None
    """Left out: accuracies are maximized, losses and errors minimized."""

    @property
    def maximizes(self) -> bool:
        """Whether more is better."""
        return (self.direction or ("maximize" if "accuracy" in self.metric else "minimize")) == "maximize"


class Budget(Section):
    """What the whole search may cost; an hour of two GPUs is two GPU hours."""

    gpu_hours: Hours | None = None
    """For a job with GPUs."""
    core_hours: Hours | None = None
    """For a job without."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Budget":
        if (self.gpu_hours is None) == (self.core_hours is None):
            raise ValueError("give one of gpu_hours (for a job with GPUs) and core_hours (for one without).")
        return self

    @property
    def hours(self) -> float:
        """The one that is given."""
        hours = self.gpu_hours or self.core_hours
        assert hours
        return hours

    @property
    def unit(self) -> str:
        """`GPU hours` or `core hours`."""
        return "GPU hours" if self.gpu_hours else "core hours"


class Search(Section):
    """Many trainings, each generation of them chosen by what those before it reached; `resources:` are of each one."""

    method: Literal["grid", "random", "tpe", "genetic"]
    """grid: every combination; random; tpe: Bayesian, by a tree-structured Parzen estimator; genetic."""
    space: dict[str, Gene] = Field(min_length=1)
    """What differs, by dotted key: {"train.optimizer.learning_rate": {float: [0.0001, 0.01], log: true}}."""
    population: Positive
    """Individuals of a generation, which are the tasks of one job array."""
    generations: Positive | None = None
    """How many generations at most; left out of a grid: as many as it takes."""
    objective: Objective = Objective()
    budget: Budget
    """Stated before the search begins; no generation is begun that could exceed it."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Of the choice of individuals; the seed of the trainings is train.seed."""
    throttle: Positive | None = None
    """How many individuals train at the same time at most; left out: as many as the scheduler lets."""
    elitism: Annotated[int, Field(ge=0)] | None = None
    """genetic: how many of the best of all earlier generations are among the parents of the next; left out: 1."""
    crossover_rate: Rate | None = None
    """genetic: the part of the children that have two parents; left out: 0.9."""
    mutation_rate: Rate | None = None
    """genetic: the part of a child's genes that are drawn anew; left out: one gene of each child on average."""

    @model_validator(mode="after")
    def _fits_the_method(self) -> "Search":
        for key in ONLY_GENETIC:
            if self.method != "genetic" and getattr(self, key) is not None:
                raise ValueError(f"{key}: belongs to the method genetic, and this one is {self.method}; leave it out.")
        if self.method == "genetic" and self.population < 2:
            raise ValueError("population: 1 individual has no other to be crossed with; give 2 or more.")
        if self.elitism is not None and self.elitism > self.population:
            raise ValueError(f"elitism: {self.elitism} is more than the population of {self.population}.")
        if self.method == "grid":
            for key, gene in self.space.items():
                if all_values(gene) is None:
                    raise ValueError(f"space: {key}: a grid needs a number of values; give step, or choice.")
        elif self.generations is None:
            raise ValueError(f"generations: missing. Say how many generations the method {self.method} may take.")
        return self

    @model_validator(mode="after")
    def _changes_the_training(self) -> "Search":
        for key in self.space:
            if not key.startswith("train.") or not all(key.split(".")):
                raise ValueError(
                    f"space: {key}: only values of the training can differ; write train.KEY, such as "
                    "train.optimizer.learning_rate."
                )
        return self

    @property
    def num_generations(self) -> int:
        """Generations at most."""
        if self.method != "grid":
            assert self.generations, "checked by _fits_the_method"
            return self.generations
        whole = math.ceil(self.num_points / self.population)
        return min(whole, self.generations or whole)

    @property
    def num_points(self) -> int:
        """Combinations of a grid."""
        return math.prod(len(all_values(gene) or ()) for gene in self.space.values())

    def size(self, generation: int) -> int:
        """Return the individuals of a generation, counted from 0: the last one of a grid may be smaller."""
        if self.method != "grid":
            return self.population
        return max(0, min(self.population, self.num_points - generation * self.population))
