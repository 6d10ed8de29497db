"""Slurm's accounting joined to the rows: one call of sacct for all jobs, where a Slurm is at hand.

Format and states: https://slurm.schedmd.com/sacct.html. What the logs say stands; accounting fills what they leave
open, and a disagreement is noted.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hpcdl.collector.outcome import NEXT
from hpcdl.collector.readers.numbers import POSITIVE
from hpcdl.collector.readers.slurm import STATES
from hpcdl.collector.row import Evidence, Row

FIELDS = ("JobID", "State", "ExitCode", "ElapsedRaw", "MaxRSS", "ConsumedEnergyRaw")
TIMEOUT_S = 60
KIB = {"": 1 / 1024, "K": 1.0, "M": 1024.0, "G": 1024.0**2, "T": 1024.0**3}
OPEN = ("unknown", "incomplete", "running")
"""Outcomes that accounting may replace."""


@dataclass
class Job:
    """What accounting knows of a job, over all its steps."""

    state: str = ""
    exit_code: str = ""
    elapsed_s: float | None = None
    max_rss_kib: float | None = None
    energy_j: float | None = None


def join(rows: Sequence[Row], warn: Callable[[str], None]) -> None:
    """Add what sacct tells to the rows of Slurm jobs; without sacct on the PATH nothing happens."""
    wanted = {row.job_id: row for row in rows if row.job_id and row.scheduler in ("slurm", None)}
    program = shutil.which("sacct")
    ids = [job_id for job_id in wanted if re.fullmatch(r"\d+(?:_\d+)?", job_id)]
    if not program or not ids:
        return
    command = [program, "--noheader", "--parsable2", f"--format={','.join(FIELDS)}", f"--jobs={','.join(ids)}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True, errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        warn(f"sacct: gave no answer ({_reason(error)}); the table holds what the logs tell")
        return
    for job_id, job in parse(done.stdout).items():
        if job_id in wanted:
            _fill(wanted[job_id], job)


def parse(text: str) -> dict[str, Job]:
    """Return the jobs in sacct's answer by id: the job's own line, and the largest memory of its steps."""
    jobs: dict[str, Job] = {}
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) != len(FIELDS):
            continue
        name, state, exit_code, elapsed, rss, energy = parts
        job_id, _, step = name.partition(".")
        job = jobs.setdefault(job_id, Job())
        if not step:
            job.state, job.exit_code = state.split(" ")[0].rstrip("+"), exit_code
            job.elapsed_s = float(elapsed) if elapsed.isdecimal() else None
        if (size := _kib(rss)) is not None:
            job.max_rss_kib = max(size, job.max_rss_kib or 0.0)
        if energy.isdecimal():
            job.energy_j = max(float(energy), job.energy_j or 0.0)
    return jobs


def _kib(text: str) -> float | None:
    match = re.fullmatch(rf"({POSITIVE})([KMGT]?)", text)
    return float(match[1]) * KIB[match[2]] if match else None


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return (
            (error.stderr or "").strip().splitlines()[-1]
            if (error.stderr or "").strip()
            else f"exit code {error.returncode}"
        )
    return str(error)


def _fill(row: Row, job: Job) -> None:
    row.scheduler = "slurm"
    row.time_s = job.elapsed_s if row.time_s is None else row.time_s
    extra = {"max_rss_kib": job.max_rss_kib, "energy_j": job.energy_j}
    row.metrics |= {name: value for name, value in extra.items() if value is not None}
    evidence = Evidence("sacct", None, f"{row.job_id} {job.state} {job.exit_code}")
    if job.state in ("RUNNING", "COMPLETING", "SUSPENDED"):
        code, cause = "running", None
    elif job.state == "CANCELLED":
        code, cause = "cancelled", "cancelled (Slurm's accounting)"
    elif job.state == "FAILED" and job.exit_code == "0:53":
        code, cause = "launch_failure", "did not start: its output could not be written (exit code 0:53)"
    elif job.state in STATES:
        code, _, cause = STATES[job.state]
    else:
        return
    if row.outcome in OPEN:
        row.outcome, row.evidence = code, evidence
        row.cause = None if code in ("completed", "running") else cause
        row.next_step = NEXT.get(code)
    elif row.outcome != code and not (
        row.outcome.startswith(("crash", "oom_gpu", "disk", "module")) and code == "crash"
    ):
        row.notes.append(f"Slurm's accounting says {job.state}, exit code {job.exit_code}")
        if row.outcome == "completed":
            row.outcome, row.cause, row.evidence = code, cause, evidence
