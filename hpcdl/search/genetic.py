"""The genetic method: selection with elitism, tournament, uniform crossover, mutation, and a record of the parents.

Optuna has an evolutionary sampler, NSGAIISampler. With one objective its selection keeps the best of all generations
(as here with elitism = population); it does not tell which two individuals a child came from, and it draws children
that were trained before. Optuna's frame of such samplers, which numbers the generations and keeps the populations, is
used; what stands here is what it lacks.
"""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseGASampler, RandomSampler

from hpcdl.search.individual import PARENTS

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TRIES = 20
"""So often a child that was trained before is drawn anew."""


class Genetic(BaseGASampler):
    """Optuna's sampler for one individual. Another one with the same seed draws the same individual again."""

    def __init__(self, population: int, elitism: int, crossover_rate: float, mutation_rate: float | None, seed: int):
        """Take the settings of `search:`; a mutation rate of None is one gene of each child on average."""
        super().__init__(population)
        self._size, self._elitism = population, elitism
        self._crossover_rate, self._mutation_rate = crossover_rate, mutation_rate
        self._chance, self._drawn = random.Random(seed), RandomSampler(seed)

    def select_parent(self, study: "Study", generation: int) -> list["FrozenTrial"]:
        """Return the parents of a generation: the best of the generation before it and of the elite of the others."""
        elite = _best(study, self.get_parent_population(study, generation - 1))[: self._elitism]
        return _best(study, [*self.get_population(study, generation - 1), *elite])[: self._size]

    def infer_relative_search_space(self, study: "Study", trial: "FrozenTrial") -> dict[str, "BaseDistribution"]:
        """Return the genes of the first trial: all have the same."""
        first = study.get_trials(deepcopy=False)[0]
        return dict(first.distributions)

    def sample_relative(
        self, study: "Study", trial: "FrozenTrial", search_space: dict[str, "BaseDistribution"]
    ) -> dict[str, Any]:
        """Return the values of a child; of an individual of the first generation none, each is then drawn."""
        generation = self.get_trial_generation(study, trial)
        population = _best(study, self.get_parent_population(study, generation))  # which come in no certain order
        if not population:
            return {}
        known = [other.params for other in study.get_trials(deepcopy=False) if other.number < trial.number]
        for _ in range(TRIES):
            parents = self._choose(study, population)
            values = {name: self._chance.choice(parents).params[name] for name in search_space}
            for name in self._mutating(list(search_space)):
                values[name] = self._drawn.sample_independent(study, trial, name, search_space[name])
            if values not in known:
                break
        study._storage.set_trial_system_attr(trial._trial_id, PARENTS, [parent.number for parent in parents])
        return values

    def sample_independent(
        self, study: "Study", trial: "FrozenTrial", param_name: str, param_distribution: "BaseDistribution"
    ) -> Any:
        """Return a value drawn from the whole range."""
        return self._drawn.sample_independent(study, trial, param_name, param_distribution)

    def _choose(self, study: "Study", population: Sequence["FrozenTrial"]) -> list["FrozenTrial"]:
        """Return two parents, or one where there is no crossover: each the better of two drawn."""
        left, parents = list(population), []
        for _ in range(2 if self._chance.random() < self._crossover_rate and len(left) > 1 else 1):
            parents.append(_best(study, self._chance.sample(left, min(2, len(left))))[0])
            left.remove(parents[-1])
        return parents

    def _mutating(self, names: Sequence[str]) -> list[str]:
        rate = 1 / len(names) if self._mutation_rate is None else self._mutation_rate
        return [name for name in names if self._chance.random() < rate]


def _best(study: "Study", trials: Sequence["FrozenTrial"]) -> list["FrozenTrial"]:
    """Return trials from the best to the worst, of equals the earlier one first."""
    sign = -1 if study.direction.name == "MAXIMIZE" else 1
    return sorted(trials, key=lambda trial: (sign * (trial.value or 0.0), trial.number))
