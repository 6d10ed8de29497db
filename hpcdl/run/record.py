"""`record.json`: what is known of one run, kept in the run's own folder."""

import json
import os
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcdl.files import write_atomically

if TYPE_CHECKING:
    from hpcdl.job import Job

ARRAY_FILE = "array.json"
"""The record of a job array, in place of record.json; the runs of its points lie in folders 0/, 1/, ... beside it."""
CHAIN_FILE = "chain.json"
"""What a folder has that holds the stages of a chain: a run or an array each (hpcdl/chain/)."""
RECORD_FILE = "record.json"
"""Fields of record.json, all of them there from the start and null while not known:
schema (1), name, id, job (the whole job file as an object), job_file, job_digest, scheduler (`local`, `slurm`, `pbs`),
job_id (the scheduler's), pid and host (of the process that wrote the first record), ranks, command (list),
output and error (names of the two logs in this folder), git ({commit, dirty} of the working folder, or null),
python, started and ended (ISO 8601, UTC), time_s (seconds), exit_code (0..255; 128 + signal for a run that a signal
ended), status (`submitted`, `running`, `success`, `aborted`), reason, rank_map (list of {rank, host, local_rank,
device}), versions ({package: version}), submitted (of a run that `hpcdl submit` made: {hpcdl, python, site,
site_digest, modules, loaded_modules, dropped_variables, folder}; its job's id is in submissions.json), transfer (of a
training that began with another one's weights: {weights, sha256, new_head}: their file, its checksum, and whether the
last layer began anew)."""

FIELDS = (
    "schema name id job job_file job_digest scheduler job_id pid host ranks command output error git python started "
    "ended time_s exit_code status reason rank_map versions submitted "
    "transfer"
).split()

LONGEST_DIFF = 1_000_000
"""Characters of the difference to the git commit that are kept with a run."""


def create(folder: Path, file: str = RECORD_FILE, **fields: Any) -> None:
    """Write the first record of a run, or of an array, into `folder`; fields that are not given are null."""
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
    _write(folder, {field: given.get(field) for field in FIELDS}, file)


def restart(folder: Path, ranks: int, command: list[str], job_id: str | None = None) -> None:
    """Note in the record of an unfinished run that it goes on, from this process and in this job of the scheduler."""
    started = read(folder).get("started") or now()  # a run that was only submitted has none yet
    here = {"pid": os.getpid(), "host": socket.gethostname(), "job_id": job_id, "started": started}
    update(folder, **here, ranks=ranks, command=command, status="running", reason=None, exit_code=None, ended=None)


def of_job(job: "Job", job_file: Path, run_id: str) -> dict[str, Any]:
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


def read(folder: Path, file: str = RECORD_FILE) -> dict[str, Any]:
    """Return the record in `folder`, of a run or (ARRAY_FILE) of an array.

    Raises:
        OSError: there is none.
        ValueError: it is no JSON object.
    """
    try:
        record = json.loads((folder / file).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{folder / file}: nested deeper than any record") from None
    if not isinstance(record, dict):
        raise ValueError(f"{folder / file}: not a JSON object")
    return record


def now() -> str:
    """The time in UTC as ISO 8601, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def git_state(folder: Path | None = None) -> dict[str, Any] | None:
    """Return {commit, dirty} of the git checkout around `folder` (the working folder), None where there is none."""
    try:
        commit, changed = (
            _git(folder, "rev-parse", "HEAD"),
            _git(folder, "status", "--porcelain", "--untracked-files=no"),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "dirty": bool(changed.strip())}


def git_diff(folder: Path | None = None) -> str | None:
    """Return what differs from the commit of `git_state`, at most LONGEST_DIFF characters; None where nothing does."""
    try:
        text = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff")
    except (OSError, subprocess.SubprocessError):
        return None
    if len(text) > LONGEST_DIFF:
        text = f"{text[:LONGEST_DIFF]}\n[cut: {len(text)} characters in all]\n"
    return text or None


def _git(folder: Path | None, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, errors="replace", timeout=20
    ).stdout


def _write(folder: Path, record: dict[str, Any], file: str = RECORD_FILE) -> None:
    write_atomically(folder / file, json.dumps(record, indent=1) + "\n")
