"""The search: its file, its samplers, its record and its loop, with an evaluator that only computes."""

import json
from pathlib import Path

import pytest

from hpcdl.errors import HpcdlError, JobFileError
from hpcdl.search import driver
from hpcdl.search.individual import Individual, Result
from hpcdl.search.plan import in_lines, make_plan
from hpcdl.search.record import STUDY_FILE, Record, SearchError, alone, begin
from hpcdl.site import load_site

SPACE = {
    "train.model.filters": {"int": [4, 32], "log": True},
    "train.model.blocks": {"int": [1, 3]},
    "train.model.kernel_size": {"choice": [3, 5]},
    "train.optimizer.learning_rate": {"float": [0.0001, 0.01], "log": True},
}
SEARCH = {
    "method": "genetic",
    "population": 6,
    "generations": 4,
    "space": SPACE,
    "budget": {"core_hours": 10},
}
JOB = {
    "name": "tiny",
    "resources": {"time": "00:06:00"},
    "train": {
        "model": {"name": "mnist_cnn"},
        "data": "digits",
        "epochs": 1,
        "batch_size": 32,
        "validation_split": 0.2,
    },
    "search": SEARCH,
}
METHODS = ("grid", "random", "tpe", "genetic")
GRID = {"train.model.blocks": {"int": [1, 3]}, "train.model.filters": {"choice": [4, 8, 16]}}


def plan_of(folder: Path, **changes):
    path = folder / "search.yaml"
    path.write_text(json.dumps(JOB))
    return make_plan(path, {f"search.{key}": value for key, value in changes.items()}, load_site("local"))


def of_method(folder: Path, method: str, **changes):
    more = {"space": GRID, "generations": None, "population": 4} if method == "grid" else {}
    return plan_of(folder, method=method, **{**more, **changes})


class Fake:
    """Trains nothing: the fitness is a smooth function of the genes. It can die after so many individuals."""

    def __init__(self, plan, dies_after: int | None = None, fails=(), hours: float = 0.05):
        self.plan, self.dies_after, self.fails, self.hours = plan, dies_after, fails, hours
        self.begun: list[int] = []
        self.trained: list[int] = []

    def has_begun(self, generation: int) -> bool:
        return generation in self.begun

    def __call__(self, generation, individuals):
        self.begun.append(generation)
        for individual in individuals:
            if individual.result is None:
                if self.dies_after == len(self.trained):
                    raise KeyboardInterrupt
                self.trained.append(individual.number)
                yield individual, self.result(individual)

    def result(self, individual: Individual) -> Result:
        if individual.number in self.fails:
            return Result("failed", None, "out of memory", self.hours)
        return Result("completed", fitness(individual.values), hours=self.hours, epochs=1)


def fitness(values) -> float:
    return round(1 - abs(values["train.model.filters"] - 20) / 40 + values["train.model.blocks"] / 10, 6)


def finish(plan, folder: Path, evaluate=None) -> tuple[str, list[Individual]]:
    folder.mkdir(exist_ok=True)
    record = Record(folder, plan.search)
    ending = driver.search(plan, record, evaluate or Fake(plan), lambda line: None)
    return ending, record.individuals()


# The file


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "bayes"}, "'grid', 'random', 'tpe' or 'genetic'"),
        ({"space": {}}, "search.space: {} is not allowed"),
        (
            {"space": {"train.optimiser.rate": {"float": [0, 1]}}},
            "train.optimiser: unknown key. Did you mean 'optimizer'",
        ),
        ({"space": {"train.model.width": {"int": [1, 2]}}}, "mnist_cnn has no argument 'width'; it takes blocks, "),
        ({"space": {"train.epochs.x": {"int": [1, 2]}}}, "'epochs' is a single value in the file"),
        ({"space": {"resources.nodes": {"int": [1, 2]}}}, "only values of the training can differ; write train.KEY"),
        ({"space": {"train.model.blocks": {"int": [0, 2]}}}, "train.model.blocks cannot be 0: "),
        ({"space": {"train.epochs": {"int": [3, 1]}}}, "3 is more than 1; write [lowest, highest]"),
        ({"space": {"train.epochs": {"int": [1, 3], "choice": [1]}}}, "this one has choice and int"),
        ({"space": {"train.epochs": {}}}, "a gene is one of choice, int and float"),
        ({"space": {"train.epochs": {"choice": []}}}, "an empty list has no values"),
        ({"space": {"train.epochs": {"choice": [1, 1]}}}, "names a value twice"),
        ({"space": {"train.dropout": {"float": [0, 0.5], "log": True}}}, "log: needs a lowest value above 0"),
        ({"method": "grid", "space": {"train.dropout": {"float": [0, 0.5]}}}, "a grid needs a number of values"),
        ({"generations": None}, "generations: missing. Say how many generations the method genetic may take"),
        ({"method": "tpe", "elitism": 2}, "elitism: belongs to the method genetic"),
        ({"elitism": 7}, "elitism: 7 is more than the population of 6"),
        ({"population": 1}, "population: 1 individual has no other"),
        ({"objective": {"metric": "test_accuracy"}}, "search.objective.metric: 'test_accuracy' is not allowed"),
        ({"budget": {}}, "give one of gpu_hours"),
        ({"budget": {"gpu_hours": 5}}, "search.budget: give core_hours: the job has no GPUs"),
        ({"budget": {"core_hours": 0.5}}, "0.5 core hours are less than the first generation may take (0.6)"),
    ],
)
def test_a_wrong_search_is_refused_in_a_sentence(tmp_path, changes, said):
    with pytest.raises(JobFileError) as error:
        plan_of(tmp_path, **changes)
    assert said in str(error.value)
    assert "search.yaml" in str(error.value)


def test_an_objective_of_the_validation_needs_validation_images(tmp_path):
    job = {**JOB, "train": {**JOB["train"], "validation_split": 0.0}}
    (tmp_path / "search.yaml").write_text(json.dumps(job))
    with pytest.raises(JobFileError, match="val_accuracy needs validation images; give"):
        make_plan(tmp_path / "search.yaml", {}, load_site("local"))
    assert make_plan(tmp_path / "search.yaml", {"search.objective.metric": "loss"}, load_site("local"))


def test_the_plan_states_the_budget_before_anything_is_submitted(tmp_path):
    assert in_lines(plan_of(tmp_path)) == [
        "Search tiny: genetic, 4 generations of 6, for the highest val_accuracy of the last epoch, seed 1",
        "  train.model.filters            int 4 to 32, log",
        "  train.model.blocks             int 1 to 3",
        "  train.model.kernel_size        choice of 3, 5",
        "  train.optimizer.learning_rate  float 0.0001 to 0.01, log",
        "One individual: 1 rank for 00:06:00 at most, 0.1 core hours",
        "All 24 together: 2.4 core hours at most; the budget is 10, and no generation is begun that could exceed it",
    ]


def test_hours_are_those_of_all_gpus_or_all_cores(tmp_path):
    (tmp_path / "search.yaml").write_text(json.dumps(JOB))
    gpus = {"resources.nodes": 2, "resources.gpus_per_node": 4, "search.budget": {"gpu_hours": 10}}
    assert make_plan(tmp_path / "search.yaml", gpus, load_site("jureca")).individual_hours == pytest.approx(0.8)
    cores = {"resources.nodes": 2, "resources.ranks_per_node": 3, "resources.cores_per_rank": 4, "search.population": 2}
    assert make_plan(tmp_path / "search.yaml", cores, load_site("jureca")).individual_hours == pytest.approx(2.4)


def test_an_individual_is_an_ordinary_job_that_is_not_requeued(tmp_path):
    values = {"train.model.filters": 9}
    short = plan_of(tmp_path).individual(values)
    assert (short.training.model.arguments, short.search, short.timeout) == ({"filters": 9}, None, None)
    path = tmp_path / "search.yaml"
    long = make_plan(path, {"resources.time": "00:20:00"}, load_site("local")).individual(values)
    assert long.timeout.requeues == 0


# The samplers


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_search_goes_on_as_if_nothing_had_been(tmp_path, method):
    plan = of_method(tmp_path, method)
    _, whole = finish(plan, tmp_path / "whole", Fake(plan, fails=(2, 7)))
    assert all(individual.result for individual in whole)
    for dies_after in (0, 3, 8):
        folder, stopped = tmp_path / f"stopped-{dies_after}", Fake(plan, dies_after, fails=(2, 7))
        with pytest.raises(KeyboardInterrupt):
            finish(plan, folder, stopped)
        rest = Fake(plan, fails=(2, 7))
        ending, individuals = finish(plan, folder, rest)
        assert (ending, individuals) == ("finished", whole)
        assert not set(stopped.trained) & set(rest.trained)


@pytest.mark.parametrize("method", METHODS)
def test_a_search_killed_while_it_draws_draws_the_same(tmp_path, method):
    """As if the process had died at any line of Optuna's journal, that line half written."""
    plan = of_method(tmp_path, method)
    _, whole = finish(plan, tmp_path / "whole")
    journal = (tmp_path / "whole" / STUDY_FILE).read_bytes()
    lines = journal.splitlines(keepends=True)
    for number in range(0, len(lines), 11):
        folder = tmp_path / f"cut-{number}"
        folder.mkdir()
        half = lines[number][: len(lines[number]) // 2]
        (folder / STUDY_FILE).write_bytes(b"".join(lines[:number]) + half)
        assert finish(plan, folder) == ("finished", whole)


@pytest.mark.parametrize("method", ["random", "tpe", "genetic"])
def test_another_seed_is_another_search(tmp_path, method):
    one, same, other = (
        [individual.values for individual in finish(of_method(tmp_path, method, seed=seed), tmp_path / name)[1]]
        for name, seed in (("one", 1), ("same", 1), ("other", 2))
    )
    assert one == same
    assert one != other


def test_a_grid_is_every_combination_in_order(tmp_path):
    ending, individuals = finish(of_method(tmp_path, "grid"), tmp_path / "grid")
    points = [tuple(individual.values.values()) for individual in individuals]
    assert points == [(blocks, filters) for blocks in (1, 2, 3) for filters in (4, 8, 16)]
    assert [individual.generation for individual in individuals] == [0] * 4 + [1] * 4 + [2]
    assert ending == "finished"


def test_values_stay_in_the_space(tmp_path):
    for method in ("random", "tpe", "genetic"):
        for individual in finish(of_method(tmp_path, method), tmp_path / method)[1]:
            filters, blocks, kernel, rate = individual.values.values()
            assert (4 <= filters <= 32, blocks in (1, 2, 3), kernel in (3, 5)) == (True, True, True)
            assert isinstance(filters, int)
            assert 0.0001 <= rate <= 0.01


def test_tpe_and_the_genetic_method_find_more_than_chance(tmp_path):
    def mean_of_last(method: str) -> float:
        found = []
        for seed in range(2):
            plan = of_method(tmp_path, method, seed=seed, population=8, generations=4)
            _, individuals = finish(plan, tmp_path / f"{method}-{seed}")
            found += [individual.fitness for individual in individuals if individual.generation == 3]
        return sum(found) / len(found)

    chance = mean_of_last("random")
    assert mean_of_last("tpe") > chance + 0.1
    assert mean_of_last("genetic") > chance + 0.1


# Inheritance


def children(individuals):
    return [individual for individual in individuals if individual.generation > 0]


def test_a_child_has_the_values_of_its_parents(tmp_path):
    plan = plan_of(tmp_path, mutation_rate=0.0, crossover_rate=1.0, generations=2)
    _, individuals = finish(plan, tmp_path / "pure")
    for child in children(individuals):
        assert len(set(child.parents)) == 2
        parents = [individuals[number] for number in child.parents]
        assert all(parent.generation == 0 for parent in parents)
        for key, value in child.values.items():
            assert value in [parent.values[key] for parent in parents]
    assert all(not individual.parents for individual in individuals if individual.generation == 0)


def test_without_crossover_and_mutation_a_child_is_its_parent(tmp_path):
    plan = plan_of(tmp_path, mutation_rate=0.0, crossover_rate=0.0, generations=2)
    _, individuals = finish(plan, tmp_path / "copies")
    for child in children(individuals):
        (parent,) = child.parents
        assert child.values == individuals[parent].values
        assert child.result.state == "repeated"
        assert child.fitness == individuals[parent].fitness


def test_mutation_alone_draws_every_gene_anew(tmp_path):
    plan = plan_of(tmp_path, mutation_rate=1.0, generations=2)
    _, individuals = finish(plan, tmp_path / "mutants")
    first = {individual.values["train.optimizer.learning_rate"] for individual in individuals[:6]}
    assert all(child.values["train.optimizer.learning_rate"] not in first for child in children(individuals))


@pytest.mark.parametrize("elitism", [0, 1, 6])
def test_the_elite_of_earlier_generations_stays_among_the_parents(tmp_path, elitism):
    """All fitness lies in the first generation: only the elite carries it on."""

    class FirstIsBest(Fake):
        def result(self, individual):
            return Result("completed", 1 - individual.number / 100 - individual.generation, epochs=1)

    plan = plan_of(tmp_path, elitism=elitism, generations=6, seed=3)
    _, individuals = finish(plan, tmp_path / "elite", FirstIsBest(plan))
    late = [parent for child in individuals if child.generation > 1 for parent in child.parents]
    grandparents = {parent for parent in late if individuals[parent].generation == 0}
    assert grandparents <= set(range(elitism))  # the best ones are the first ones here
    assert bool(grandparents) == bool(elitism)


def test_what_failed_has_no_children(tmp_path):
    plan = plan_of(tmp_path, elitism=0, generations=2, crossover_rate=0.0)
    _, individuals = finish(plan, tmp_path / "failed", Fake(plan, fails=(0, 1, 2)))
    worst = [parent for child in children(individuals) for parent in child.parents if parent in (0, 1, 2)]
    assert len(worst) <= 2  # only where a tournament drew two that failed
    assert {individual.number for individual in individuals if individual.result.state == "failed"} >= {0, 1, 2}


# The loop


def test_failures_do_not_stop_the_search_and_keep_their_reason(tmp_path):
    plan = plan_of(tmp_path)
    ending, individuals = finish(plan, tmp_path / "all", Fake(plan, fails=range(24)))
    assert ending == "finished"
    assert {individual.result.reason for individual in individuals} >= {"out of memory"}
    assert all(individual.fitness is None for individual in individuals)


def test_values_that_do_not_go_together_fail_without_being_trained(tmp_path):
    space = {"train.batch_size": {"choice": [6, 7]}, "train.augment.mixup": {"choice": [0.0, 0.2]}}
    path = tmp_path / "search.yaml"
    path.write_text(json.dumps({**JOB, "search": {**SEARCH, "method": "grid", "space": space, "generations": 1}}))
    plan = make_plan(path, {}, load_site("local"))
    evaluate = Fake(plan)
    evaluate.result = lambda individual: Result("completed", 0.5)
    _, individuals = finish(plan, tmp_path / "odd", evaluate)
    assert evaluate.trained == [0, 1, 2]
    assert "mixup and cutmix mix neighbours in pairs, and batch_size 7" in individuals[3].result.reason


def test_no_generation_is_begun_that_could_exceed_the_budget(tmp_path):
    """Six individuals of 0.1 hours at most are 0.6; they take 0.05 each, so that three generations fit into 1.3."""
    plan = plan_of(tmp_path, **{"budget.core_hours": 1.2, "mutation_rate": 1.0})
    evaluate = Fake(plan)
    ending, individuals = finish(plan, tmp_path / "budget", evaluate)
    assert (ending, evaluate.begun) == ("budget", [0, 1, 2])
    assert sum(individual.result.hours for individual in individuals if individual.result) == pytest.approx(0.9)
    more = plan_of(tmp_path, **{"budget.core_hours": 1.5, "mutation_rate": 1.0})
    rest = Fake(more)
    assert finish(more, tmp_path / "budget", rest)[0] == "finished"
    assert rest.begun == [3]


def test_a_generation_that_has_begun_is_ended_whatever_it_cost(tmp_path):
    plan = plan_of(tmp_path, **{"budget.core_hours": 0.65})
    stopped = Fake(plan, dies_after=2, hours=0.3)  # more than the limit says: Slurm ends a job late
    with pytest.raises(KeyboardInterrupt):
        finish(plan, tmp_path / "begun", stopped)
    rest = Fake(plan)
    rest.begun = [0]
    finish(plan, tmp_path / "begun", rest)
    assert rest.trained == [2, 3, 4, 5]


def test_an_evaluator_that_does_not_wait_is_asked_again(tmp_path):
    plan = plan_of(tmp_path)

    class Busy(Fake):
        def __call__(self, generation, individuals):
            self.begun.append(generation)
            return [(individual, self.result(individual)) for individual in individuals[:4]]

    ending, individuals = finish(plan, tmp_path / "busy", Busy(plan))
    assert (ending, [bool(one.result) for one in individuals]) == ("running", [True] * 4 + [False] * 2)


# The record


def test_a_changed_file_is_refused_and_more_generations_are_not(tmp_path):
    folder = tmp_path / "record"
    folder.mkdir()
    assert not begin(folder, plan_of(tmp_path, population=5).job, "local")
    assert not begin(folder, plan_of(tmp_path).job, "local")  # nothing was trained yet
    (folder / "tiny-g1").mkdir()
    assert begin(folder, plan_of(tmp_path).job, "local")
    assert begin(folder, plan_of(tmp_path, generations=9, **{"budget.core_hours": 99}).job, "local")
    known = json.loads((folder / "search.json").read_text())
    del known["job"]["train"]["label_smoothing"]  # as an earlier version, which had no such key, would have written it
    (folder / "search.json").write_text(json.dumps(known))
    assert begin(folder, plan_of(tmp_path).job, "local")
    with pytest.raises(SearchError, match=r"search.population was 6 when this search began and is 8 now"):
        begin(folder, plan_of(tmp_path, population=8).job, "local")
    with pytest.raises(SearchError, match="began at site local; go on there by --site local"):
        begin(folder, plan_of(tmp_path).job, "jureca")


def test_two_processes_do_not_run_one_search(tmp_path):
    again = pytest.raises(SearchError, match="another hpcdl search is at work on it")
    with alone(tmp_path / "one"), again, alone(tmp_path / "one"):
        pass
    with alone(tmp_path / "one"):
        pass


def test_a_damaged_journal_is_refused_in_a_sentence(tmp_path):
    plan = plan_of(tmp_path)
    (tmp_path / STUDY_FILE).write_text("no journal\n")
    with pytest.raises(HpcdlError, match=r"study.journal: damaged .* Move .* away to begin the search anew"):
        Record(tmp_path, plan.search)
