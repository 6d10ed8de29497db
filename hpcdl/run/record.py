"""`record.json`: what is known of one run, kept in the run's own folder."""

import json
import os
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hpcdl.files import write_atomically
from hpcdl.job import Job

RECORD_FILE = "record.json"
"""Fields of record.json, all of them there from the start and null while not known:
schema (1), name, id, job (the whole job file as an object), job_file, job_digest, scheduler (`local`, `slurm`),
job_id (the scheduler's), pid and host (of the process that wrote the first record), ranks, command (list),
output and error (names of the two logs in this folder), git ({commit, dirty} of the working folder, or null),
python, started and ended (ISO 8601, UTC), time_s (seconds), exit_code (0..255; 128 + signal for a run that a signal
ended), status (`running`, `success`, `aborted`), reason, rank_map (list of {rank, host, local_rank, device}),
versions ({package: version})."""

FIELDS = (
    "schema name id job job_file job_digest scheduler job_id pid host ranks command output error git python started "
    "ended time_s exit_code status reason rank_map versions"
).split()


def create(folder: Path, **fields: Any) -> None:
    """Write the first record of a run into `folder`; fields that are not given are null."""
    given = {
        "schema": 1,
        "git": git_state(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "python": sys.version.split()[0],
        "started": now(),
        "status": "running",
        **fields,
    }
    assert set(given) <= set(FIELDS), set(given) - set(FIELDS)
    _write(folder, {field: given.get(field) for field in FIELDS})


def restart(folder: Path, ranks: int, command: list[str]) -> None:
    """Note in the record of an unfinished run that it goes on, from this process."""
    here = {"pid": os.getpid(), "host": socket.gethostname()}
    update(folder, **here, ranks=ranks, command=command, status="running", reason=None, exit_code=None, ended=None)


def of_job(job: Job, job_file: Path, run_id: str) -> dict[str, Any]:
    """Return the fields that say which job a run is of."""
    return {
        "name": job.name,
        "id": run_id,
        "job": job.model_dump(mode="json"),
        "job_file": str(job_file),
        "job_digest": job.digest,
    }


def update(folder: Path, **fields: Any) -> None:
    """Replace fields of the record in `folder`."""
    assert set(fields) <= set(FIELDS), set(fields) - set(FIELDS)
    _write(folder, {**read(folder), **fields})


def read(folder: Path) -> dict[str, Any]:
    """Return the record in `folder`.

    Raises:
        OSError: there is none.
        ValueError: it is no JSON object.
    """
    record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError(f"{folder / RECORD_FILE}: not a JSON object")
    return record


def now() -> str:
    """The time in UTC as ISO 8601, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def git_state(folder: Path | None = None) -> dict[str, Any] | None:
    """Return {commit, dirty} of the git checkout around `folder` (the working folder), None where there is none."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=20
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _write(folder: Path, record: dict[str, Any]) -> None:
    write_atomically(folder / RECORD_FILE, json.dumps(record, indent=1) + "\n")
