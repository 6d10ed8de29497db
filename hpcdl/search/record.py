"""The record of a search: what it is of, and an Optuna study of its individuals, in one folder.

`search.json` says which job file and site the search began with. `study.journal` is Optuna's storage (one file, which
any number of processes may open: JournalStorage); each individual is a trial, its result an attribute of it. All that
a search needs to go on stands there and in the folders of its runs.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcdl.collector.settings import flat
from hpcdl.errors import HpcdlError
from hpcdl.files import locked, write_atomically
from hpcdl.job import Job
from hpcdl.search.individual import PARENTS, RESULT, Individual, Result
from hpcdl.search.samplers import grid_point, sampler
from hpcdl.search.section import Search
from hpcdl.search.space import distribution

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SEARCH_FILE, STUDY_FILE, LOCK_FILE = "search.json", "study.journal", "lock"
MAY_CHANGE = ("search.generations", "search.budget.", "search.throttle", "slurm.")
"""Beginnings of the keys that a search may go on with: how long it goes on and where, not what it does."""


class SearchError(HpcdlError):
    """A search cannot begin or go on."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a search to one process: a second one would submit what the first one submits.

    Raises:
        SearchError: another process has it, or the folder cannot be made.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK_FILE))
        except BlockingIOError:
            raise SearchError(f"{folder}: another hpcdl search is at work on it; wait for it, or end it.") from None
        except OSError as fault:
            raise SearchError(f"{folder}: cannot be written ({fault.strerror}). Choose another by --runs.") from None
        yield


def begin(folder: Path, job: Job, site: str) -> bool:
    """Write down what a search is of; of one that has begun check that it is of the same.

    It has begun with the first folder of its individuals. Before that nothing is lost, and the file may change.

    Returns:
        Whether it has begun before.

    Raises:
        SearchError: the job file says something else than when the search began, or the site is another.
    """
    path = folder / SEARCH_FILE
    now = job.model_dump(mode="json")
    known = {"schema": 1, "site": site, "job": now}
    if any(folder.glob(f"{job.name}-g*")):
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            job_then = Job.model_validate(known["job"])  # with the defaults of this version, too
            then, began_at = flat(job_then.model_dump(mode="json")), known["site"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise SearchError(f"{path}: cannot be read. Move {folder} away to begin the search anew.") from None
        keys = sorted({**then, **flat(now)})
        changed = [key for key in keys if then.get(key) != flat(now).get(key) and not key.startswith(MAY_CHANGE)]
        if changed:
            key = changed[0]
            was, is_now = (values.get(key, "not there") for values in (then, flat(now)))
            raise SearchError(
                f"{key} was {was} when this search began and is {is_now} now. Change it back to go on, give the job "
                f"another name for another search, or move {folder} away. Only generations, budget, throttle and slurm "
                "may change."
            )
        if began_at != site:
            raise SearchError(f"{folder}: this search began at site {began_at}; go on there by --site {began_at}.")
        return True
    (folder / STUDY_FILE).unlink(missing_ok=True)
    write_atomically(path, json.dumps(known, indent=1) + "\n")
    return False


class Record:
    """The individuals of a search."""

    def __init__(self, folder: Path, search: Search):
        """Open the study in a folder, or begin it.

        Raises:
            SearchError: Optuna is not installed, or its file is damaged.
        """
        try:
            import optuna
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend
        except ImportError:
            raise SearchError("a search needs Optuna; install it with `pip install 'hpcdl[search]'`.") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.search, self._optuna = search, optuna
        path = folder / STUDY_FILE
        _cut_half_a_line(path)
        try:
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(path))),
                study_name="search",
                direction="maximize" if search.objective.maximizes else "minimize",
                load_if_exists=True,
            )
        except (ValueError, KeyError) as fault:
            raise SearchError(f"{path}: damaged ({fault}). Move {folder} away to begin the search anew.") from None
        self._genes = {key: distribution(gene) for key, gene in search.space.items()}

    def draw(self, generation: int) -> list[Individual]:
        """Return the individuals of a generation; those that are not there yet are drawn, after all before have ended.

        Args:
            generation: from 0.
        """
        first = generation * self.search.population
        end = first + self.search.size(generation)
        missing = range(len(self._trials()), end)
        if missing:
            # Optuna writes what it draws value by value; here an individual is on the disk as a whole or not at all.
            copy = self._optuna.create_study(direction=self._study.direction)
            copy.add_trials(self._trials())
            for number in missing:
                copy.sampler = sampler(self.search, number)
                if self.search.method == "grid":
                    copy.enqueue_trial(grid_point(self.search, number))
                copy.ask(self._genes)
                self._study.add_trial(copy.get_trials(deepcopy=False)[number])
        return [self._individual(trial) for trial in self._trials()[first:end]]

    def tell(self, number: int, result: Result) -> None:
        """Write down what became of an individual. One that failed gets the worst fitness that there is."""
        worst = float("-inf" if self.search.objective.maximizes else "inf")
        trial = self._trials()[number]
        self._study._storage.set_trial_user_attr(trial._trial_id, RESULT, asdict(result))
        self._study.tell(number, worst if result.fitness is None else result.fitness)

    def individuals(self) -> list[Individual]:
        """Return all individuals that were drawn, by number."""
        return [self._individual(trial) for trial in self._trials()]

    def _trials(self) -> list["FrozenTrial"]:
        return self._study.get_trials(deepcopy=False)

    def _individual(self, trial: "FrozenTrial") -> Individual:
        known: dict[str, Any] | None = trial.user_attrs.get(RESULT) if trial.state.is_finished() else None
        return Individual(
            number=trial.number,
            generation=trial.number // self.search.population,
            values=dict(trial.params),
            parents=tuple(trial.system_attrs.get(PARENTS, ())),
            result=Result(**known) if known else None,
        )


def _cut_half_a_line(path: Path) -> None:
    """Take the end off a journal whose last line was not written whole (a full disk): the next one would join it."""
    if not path.exists():
        return
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(path, whole)
