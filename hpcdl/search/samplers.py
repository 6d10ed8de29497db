"""Who chooses the individuals: Optuna's samplers, one for each individual.

A sampler's generator of random numbers does not outlive its process. Each individual therefore gets a sampler of its
own, seeded by the search's seed and the individual's number: a search that was interrupted goes on as it would have.
"""

import itertools
import random
from typing import TYPE_CHECKING, Any

from hpcdl.search.section import CROSSOVER_RATE, ELITISM, Search
from hpcdl.search.space import all_values

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def sampler(search: Search, number: int) -> "BaseSampler":
    """Return the sampler that draws the individual of a number."""
    from optuna.samplers import RandomSampler, TPESampler

    seed = random.Random(f"{search.seed}/{number}").getrandbits(32)
    if search.method == "tpe":
        # The first generation is random. What is not known yet counts as bad, so that one generation spreads out.
        return TPESampler(n_startup_trials=search.population, constant_liar=True, multivariate=True, seed=seed)
    if search.method == "genetic":
        from hpcdl.search.genetic import Genetic

        elitism = ELITISM if search.elitism is None else search.elitism
        crossover_rate = CROSSOVER_RATE if search.crossover_rate is None else search.crossover_rate
        return Genetic(search.population, elitism, crossover_rate, search.mutation_rate, seed)
    return RandomSampler(seed)


def grid_point(search: Search, number: int) -> dict[str, Any]:
    """Return a point of the grid, the last gene changing fastest; Optuna's GridSampler would shuffle them."""
    values = itertools.product(*(all_values(gene) or () for gene in search.space.values()))
    return dict(zip(search.space, next(itertools.islice(values, number, None)), strict=True))
