"""`submissions.json`: when a run was given to the scheduler, by which script, and which job came of it.

A file of its own: the training keeps record.json up to date from a compute node, and two writers of one file would
lose what the other wrote. A run that failed may be submitted again into the same folder; the last entry counts.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hpcdl.files import write_atomically
from hpcdl.run.record import ARRAY_FILE

SUBMISSIONS_FILE = "submissions.json"
"""{"schema": 1, "submissions": [...]}, each with the fields of Submission, the first one first."""


@dataclass(frozen=True)
class Submission:
    """One call of sbatch or qsub."""

    script: str
    """Absolute path of the script as it was given to sbatch. No other submission has the same: by it Slurm's answer is
    known for this run's job (its Command)."""
    began: str
    """UTC, ISO 8601."""
    indices: list[int] | None = None
    """The tasks of the array that were asked for; None: all of them, or no array."""
    job_id: str | None = None
    """None while nobody knows whether the scheduler has taken it."""
    cluster: str | None = None
    """Where there is more than one and sbatch named it."""

    def job_of(self, index: int | None) -> str | None:
        """The scheduler's id of one task; None where there is no id yet."""
        return self.job_id if self.job_id is None or index is None else f"{self.job_id}_{index}"


def read_submissions(folder: Path) -> list[Submission]:
    """Return the submissions of a run or an array; an empty list where there is no whole file of them."""
    try:
        known = json.loads((folder / SUBMISSIONS_FILE).read_text(encoding="utf-8"))
        return [Submission(**entry) for entry in known["submissions"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write_submissions(folder: Path, submissions: list[Submission]) -> None:
    """Replace the file.

    Raises:
        OSError: the folder cannot be written.
    """
    entries = [asdict(submission) for submission in submissions]
    text = json.dumps({"schema": 1, "submissions": entries}, indent=1)
    write_atomically(folder / SUBMISSIONS_FILE, text + "\n")


def set_job(folder: Path, script: str, job_id: str, cluster: str | None) -> None:
    """Write down which job came of a script."""
    known = read_submissions(folder)
    write_submissions(
        folder, [replace(item, job_id=job_id, cluster=cluster) if item.script == script else item for item in known]
    )


def array_index(folder: Path) -> int | None:
    """Return the index of a run that is a task of an array, None for any other."""
    return int(folder.name) if folder.name.isdecimal() and (folder.parent / ARRAY_FILE).is_file() else None


def last_submission(folder: Path) -> tuple[Submission | None, str | None]:
    """Return the submission that a run is of now, and its job's id; of a task the array's last with that task."""
    index = array_index(folder)
    for submission in reversed(read_submissions(folder if index is None else folder.parent)):
        if index is None or submission.indices is None or index in submission.indices:
            return submission, submission.job_of(index)
    return None, None
