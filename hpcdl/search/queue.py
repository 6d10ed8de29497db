"""Individuals at a site with a queue: each generation is one job array."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcdl.job import Job
from hpcdl.run.find import find_runs
from hpcdl.run.follow import watch
from hpcdl.run.states import State as RunState
from hpcdl.run.status import Status
from hpcdl.run.submission import Submission, read_submissions
from hpcdl.run.submit import Prepared, prepare, submit, submit_again
from hpcdl.search.individual import Individual, Result, State
from hpcdl.search.plan import Plan
from hpcdl.search.reached import reached
from hpcdl.settings import Settings
from hpcdl.site import Site
from hpcdl.slurm.client import Slurm

ENDINGS: dict[RunState, State] = {RunState.COMPLETED: "completed", RunState.TIMEOUT: "stopped"}
"""How a job's end counts; any other is a failure."""


@dataclass
class Queue:
    """Trains generations through a scheduler."""

    plan: Plan
    folder: Path
    """The search's."""
    site: Site
    site_file: Path
    settings: Settings
    slurm: Slurm
    check: Callable[[Job, Prepared], None]
    """Looks at what is about to be submitted; what stops it is raised, and the folder removed."""
    tell: Callable[[str], None]
    interval_s: float
    wait: bool
    """Whether to stay until all have ended."""

    def has_begun(self, generation: int) -> bool:
        """Tell whether the generation's array was given to the scheduler."""
        return self._submitted(generation) is not None

    def __call__(self, generation: int, individuals: Sequence[Individual]) -> Iterator[tuple[Individual, Result]]:
        """Submit a generation that was not, and yield those that have ended."""
        array = self._submitted(generation) or self._submit(generation, individuals)
        statuses = self._look(array)
        if all(status.state is RunState.LOST and status.job_id is None for status in statuses):
            self._tell(generation, submit_again(array, None, None, self.site, self.slurm))  # it never arrived
            statuses = self._look(array)
        for individual, status in zip(individuals, statuses, strict=True):
            if status.state.ended:
                yield individual, self._result(status)

    def _look(self, array: Path) -> list[Status]:
        """Return what the individuals of an array are doing, after all have ended where that is waited for."""
        looks = watch(find_runs([array], array), self.slurm, self.interval_s)
        statuses = next(looks)
        for later in looks if self.wait else ():
            statuses = later
        return statuses

    def _submitted(self, generation: int) -> Path | None:
        """Return the array of a generation, None of one that was not given to the scheduler."""
        return next((folder for folder in self._folders(generation) if read_submissions(folder)), None)

    def _submit(self, generation: int, individuals: Sequence[Individual]) -> Path:
        for folder in self._folders(generation):
            shutil.rmtree(folder)  # prepared and given to nobody: what is given is written down before sbatch is called
        job = self.plan.array(self._name(generation), [individual.values for individual in individuals])
        prepared = prepare(job, self.plan.job_file, self.site, self.site_file, self.settings, self.folder)
        self.check(job, prepared)
        self._tell(generation, submit(prepared, self.site, self.slurm))
        return prepared.folder

    def _tell(self, generation: int, submission: Submission) -> None:
        self.tell(f"generation {generation + 1} of {self.plan.search.num_generations}: job {submission.job_id}")

    def _folders(self, generation: int) -> list[Path]:
        return sorted(self.folder.glob(f"{self._name(generation)}-*"))

    def _name(self, generation: int) -> str:
        return f"{self.plan.job.name}-g{generation + 1}"

    def _result(self, status: Status) -> Result:
        folder = Path(status.folder)
        seconds = self.plan.job.resources.time_s if status.elapsed_s is None else status.elapsed_s
        return reached(
            folder,
            self.plan.search.objective.metric,
            ENDINGS.get(status.state, "failed"),
            None if status.state is RunState.COMPLETED else status.cause or status.state.value,
            self.plan.hours(seconds),
            str(folder.relative_to(self.folder)),
        )
