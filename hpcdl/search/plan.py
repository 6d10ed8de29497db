"""What a search will do and what it may cost, known before anything is submitted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcdl import script
from hpcdl.errors import JobFileError
from hpcdl.fit import choose_partition, cores_per_rank
from hpcdl.job import Job, load_job
from hpcdl.search.section import Search
from hpcdl.search.space import ends, in_words
from hpcdl.settings import Settings
from hpcdl.site import Site
from hpcdl.sweep import Point, Sweep


@dataclass(frozen=True)
class Plan:
    """A search that can be done."""

    search: Search
    job: Job
    """The whole file."""
    job_file: Path
    overrides: dict[str, Any]
    """Those of --set."""
    units: int
    """GPUs of one individual, or cores where it has no GPU."""

    @property
    def individual_hours(self) -> float:
        """What one individual costs at most, in the budget's unit."""
        return self.hours(self.job.resources.time_s)

    def hours(self, seconds: float) -> float:
        """Return what an individual costs that takes so long."""
        return self.units * seconds / 3600

    def individual(self, values: dict[str, Any]) -> Job:
        """Return the job of one individual.

        Raises:
            JobFileError: these values do not go together.
        """
        once = {"on_timeout.requeues": 0} if self.job.timeout else {}  # who is stopped by the clock has had its time
        return load_job(self.job_file, {**self.overrides, **once, **values, "search": None})

    def array(self, name: str, points: list[Point]) -> Job:
        """Return the job array that trains individuals with these values."""
        sweep = Sweep(points=points, throttle=self.search.throttle)
        return self.individual({}).model_copy(update={"name": name, "sweep": sweep})


def make_plan(job_file: Path, overrides: dict[str, Any], site: Site, settings: Settings = Settings()) -> Plan:  # noqa: B008 never changed
    """Read and check a search.

    Raises:
        HpcdlError: the file or a gene in it is wrong, the site cannot run it, or the budget is too small.
    """
    job = load_job(job_file, overrides)
    if job.search is None:
        raise JobFileError(f"{job_file}: has no `search:` section; hpcdl run and hpcdl submit train a job without.")
    search, resources = job.search, job.resources
    plan = Plan(search, job, job_file, overrides, resources.gpus_per_node * resources.nodes or _cores(job, site))
    for key, gene in search.space.items():
        for value in ends(gene):
            try:
                plan.individual({key: value})
            except JobFileError as fault:
                raise JobFileError(f"{job_file}: search.space: {key} cannot be {value!r}: {fault}") from None
    _check_objective(plan)
    _check_budget(plan)
    if site.scheduler != "none":  # says what the site cannot run
        script.render(
            plan.array(job.name, [{key: ends(gene)[0] for key, gene in search.space.items()}]), "", site, settings
        )
    return plan


def _cores(job: Job, site: Site) -> int:
    """CPU cores of one individual: one for each rank where neither job nor site says more."""
    partition = choose_partition(job, site) if site.scheduler != "none" else None
    return job.resources.ranks * (cores_per_rank(job.resources, site, partition) or 1)


def _check_objective(plan: Plan) -> None:
    metric, training = plan.search.objective.metric, plan.job.training
    split = "train.validation_split"
    if metric.startswith("val_") and not training.validation_split and split not in plan.search.space:
        raise JobFileError(
            f"{plan.job_file}: search.objective: {metric} needs validation images; give {split}, such as 0.2, or a "
            "metric of the training."
        )


def _check_budget(plan: Plan) -> None:
    budget, has_gpus = plan.search.budget, bool(plan.job.resources.gpus_per_node)
    if has_gpus != bool(budget.gpu_hours):
        right = "gpu_hours: the job has GPUs" if has_gpus else "core_hours: the job has no GPUs"
        raise JobFileError(f"{plan.job_file}: search.budget: give {right}.")
    first = plan.search.size(0) * plan.individual_hours
    if first > budget.hours:
        raise JobFileError(
            f"{plan.job_file}: search.budget: {budget.hours:g} {budget.unit} are less than the first generation may "
            f"take ({first:.4g}); give more, or a smaller population, or less resources.time."
        )


def in_lines(plan: Plan) -> list[str]:
    """Return what a person reads of a search before it begins."""
    search, resources = plan.search, plan.job.resources
    total = sum(search.size(number) for number in range(search.num_generations))
    width = max(map(len, search.space))
    unit = search.budget.unit
    best = f"{'highest' if search.objective.maximizes else 'lowest'} {search.objective.metric} of the last epoch"
    return [
        f"Search {plan.job.name}: {search.method}, {search.num_generations} generations of {search.population}, "
        f"for the {best}, seed {search.seed}",
        *(f"  {key:{width}}  {in_words(gene)}" for key, gene in search.space.items()),
        f"One individual: {resources.ranks} rank{'s' * (resources.ranks > 1)} for {resources.time} at most, "
        f"{plan.individual_hours:.4g} {unit}",
        f"All {total} together: {total * plan.individual_hours:.4g} {unit} at most; the budget is "
        f"{search.budget.hours:g}, and no generation is begun that could exceed it",
    ]
