"""What a run's own folder tells of its job, with nobody asked: the script's records, and what Slurm said of its end.

`slurm.json` keeps that: the controller forgets a job minutes after its end (MinJobAge), and not every site has
accounting.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpcdl.files import write_atomically
from hpcdl.run.attempts import read_attempts
from hpcdl.run.states import FINAL, Facts
from hpcdl.run.submission import last_submission
from hpcdl.slurm.answers import SlurmJob

ANSWER_FILE = "slurm.json"
"""The fields of SlurmJob, and `schema` (1)."""


def known_facts(folder: Path, record: dict[str, Any]) -> Facts | None:
    """Return what the folder tells of the run's job; None for a run that no script of ours and no scheduler runs."""
    submission, job_id = last_submission(folder)
    attempts = read_attempts(folder)
    if submission is None and not attempts:
        return None
    job_id = job_id or (attempts[-1].job_id if submission is None else None)
    if job_id is None:
        return Facts()
    return Facts([attempt for attempt in attempts if attempt.job_id == job_id], sacct=kept_answer(folder, job_id))


def kept_answer(folder: Path, job_id: str) -> SlurmJob | None:
    """Return what Slurm said of the job's end when it was asked, None where nothing was kept."""
    try:
        known = json.loads((folder / ANSWER_FILE).read_text(encoding="utf-8"))
        known.pop("schema")
        answer = SlurmJob(**{**known, "steps": tuple(known["steps"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return answer if answer.job_id == job_id else None


def keep_answer(folder: Path, answer: SlurmJob) -> None:
    """Keep what Slurm said of a job's end; what is no end, or cannot be written, is not kept."""
    if answer.state not in FINAL or kept_answer(folder, answer.job_id) == answer:
        return
    try:
        write_atomically(folder / ANSWER_FILE, json.dumps({"schema": 1, **asdict(answer)}, indent=1) + "\n")
    except OSError:
        return  # another's folder, or a full disk: it is asked again the next time
