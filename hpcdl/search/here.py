"""Individuals on this machine: one after the other, each on its MPI ranks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hpcdl.run import record
from hpcdl.run.folder import fill_run_folder
from hpcdl.run.local import OUT_OF_TIME, LocalRun
from hpcdl.search.individual import Individual, Result, State
from hpcdl.search.plan import Plan
from hpcdl.search.reached import reached


@dataclass
class Here:
    """Trains generations with mpirun."""

    plan: Plan
    folder: Path
    """The search's."""
    tell: Callable[[str], None]

    def has_begun(self, generation: int) -> bool:
        """Tell whether an individual of the generation was started."""
        return self._array(generation).exists()

    def __call__(self, generation: int, individuals: Sequence[Individual]) -> Iterator[tuple[Individual, Result]]:
        """Train those that have not ended, and yield all."""
        for individual in individuals:
            if individual.result is None:
                yield individual, self._train(individual, self._array(generation) / str(individual.number))

    def _train(self, individual: Individual, folder: Path) -> Result:
        """Train an individual; one that was interrupted goes on from its checkpoint, in the time that it has left."""
        known = record.read(folder) if (folder / record.RECORD_FILE).exists() else None
        limit_s = float(self.plan.job.resources.time_s)
        spent_s = (known or {}).get("time_s") or 0.0
        if known is None or known["status"] == "running" or known["reason"] == "interrupted":
            job = self.plan.individual(individual.values)
            if known is None:
                fill_run_folder(folder, job)
                run = LocalRun.begin(job, self.plan.job_file, job.resources.ranks, folder, folder.name)
            else:
                run = LocalRun.resume(folder, None)
            self.tell(f"individual {individual.number}: {folder}")
            with closing(run.follow(limit_s - spent_s)) as lines:
                for _ in lines:
                    pass
            known = record.read(folder)
            spent_s += known["time_s"]
        state: State = "completed" if known["status"] == "success" else "failed"
        if known["reason"] == OUT_OF_TIME:
            state = "stopped"
        return reached(
            folder,
            self.plan.search.objective.metric,
            state,
            None if state == "completed" else known["reason"] or f"ended with exit code {known['exit_code']}",
            self.plan.hours(spent_s),
            str(folder.relative_to(self.folder)),
        )

    def _array(self, generation: int) -> Path:
        return self.folder / f"{self.plan.job.name}-g{generation + 1}"
