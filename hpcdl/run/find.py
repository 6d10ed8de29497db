"""Finding runs: their folders by path, by the array they belong to, or by job id."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcdl.errors import HpcdlError
from hpcdl.run import record
from hpcdl.run.submission import Submission, array_index, last_submission


@dataclass(frozen=True)
class Run:
    """A run folder and what names its job."""

    folder: Path
    record: dict[str, Any]
    submission: Submission | None
    job_id: str | None

    @property
    def name(self) -> str:
        """The folder's name, `ARRAY/INDEX` for a task of an array; of a stage of a chain with `CHAIN/` before it."""
        outer = self.folder if array_index(self.folder) is None else self.folder.parent
        outer = outer.parent if (outer.parent / record.CHAIN_FILE).is_file() else outer
        return str(self.folder.relative_to(outer.parent))

    @property
    def is_local(self) -> bool:
        """Whether `hpcdl run` started it on this machine."""
        return self.record.get("scheduler") == "local" and self.job_id is None


def find_runs(paths: Iterable[Path | str], runs: Path) -> list[Run]:
    """Return the runs that are meant: run folders, arrays (all tasks), chains, folders of runs, job ids (`12`, `12_3`).

    Args:
        runs: where job ids are looked up.

    Raises:
        HpcdlError: something is none of these.
    """
    found: dict[Path, Run] = {}
    for path in paths:
        text = str(path)
        if not Path(path).exists() and text.replace("_", "", 1).isdecimal():
            here = [run for run in _below(runs) if run.job_id and text in (run.job_id, run.job_id.partition("_")[0])]
            if not here:
                raise HpcdlError(f"{path}: no run in {runs} has this job id. Give its folder, or another --runs.")
        else:
            here = _below(Path(path))
            if not here:
                raise HpcdlError(f"{path}: holds no run. Give a folder of runs/, or a job id.")
        found |= {run.folder: run for run in here}
    return list(found.values())


def _below(path: Path) -> list[Run]:
    """The run in a folder, the tasks of an array, or the runs in the folders of a folder, oldest first."""
    folder = path.absolute()
    if (folder / record.ARRAY_FILE).is_file():
        tasks = [child for child in folder.iterdir() if child.name.isdecimal() and child.is_dir()]
        return [read_run(task) for task in sorted(tasks, key=lambda task: int(task.name))]
    if (folder / record.RECORD_FILE).is_file():
        return [read_run(folder)]
    try:
        children = [child for child in folder.iterdir() if child.is_dir()]
    except OSError:
        return []
    marks = (record.RECORD_FILE, record.ARRAY_FILE, record.CHAIN_FILE)
    good = [(max(_time(child / mark) for mark in marks), child) for child in children]
    return [run for time, child in sorted(good) if time for run in _below(child)]


def _time(path: Path) -> float:
    """When a record was first seen, as far as files tell: its folder's name sorts runs of one job, this all of them."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def read_run(folder: Path) -> Run:
    """Return the run in a folder, as much of it as can be read."""
    try:
        known = record.read(folder)
    except (OSError, ValueError):
        known = {}
    submission, job_id = last_submission(folder)
    return Run(folder, known, submission, job_id if submission else known.get("job_id"))
