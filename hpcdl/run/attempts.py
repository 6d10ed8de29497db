"""The attempts of a run: what its batch script itself writes down of how each of them began and ended.

A run is attempted anew when its job is requeued, or submitted again with the same folder. The script (templates/)
writes two small files for each attempt into the run's folder, whole or not at all, with nothing but a shell:

    attempts/JOB.RESTART.start.json   schema, job_id, slurm_job_id, restart, host, nodes, ntasks, cluster, started
    attempts/JOB.RESTART.exit.json    schema, job_id, restart, exit_code, signal, ended, decision, reason

This module is their reader, and the one place that says what is in them. An attempt without the second file is still
running, or was killed: what Slurm says tells which.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ATTEMPTS_FOLDER = "attempts"
"""The folder of these files, in the run's folder."""

Decision = Literal["finished", "failed", "requeued", "gave_up"]
"""finished: the work ended with exit code 0. failed: it did not. requeued: stopped before the time limit with a
checkpoint, and given back to the queue. gave_up: stopped so, and not given back; `reason` says why."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    version: Annotated[Literal[1], Field(alias="schema")]
    job_id: str
    """The job as people name it: "123", "123_4" for a task of an array."""
    restart: Annotated[int, Field(ge=0)]
    """How often Slurm had started the job before."""


class StartRecord(_Record):
    """How an attempt began. What the scheduler does not tell is None."""

    slurm_job_id: str | None
    """The job's own number in Slurm, which in an array differs from task to task."""
    host: str | None
    """The node on which the script runs, the first of the job's."""
    nodes: str | None
    """All nodes of the job as Slurm's host list: "jrc[0001-0002]"."""
    ntasks: int | None
    cluster: str | None
    started: str
    """UTC, ISO 8601, to the second: "2026-11-20T12:00:00+00:00"."""


class ExitRecord(_Record):
    """How an attempt ended, where the script lived to tell."""

    exit_code: Annotated[int, Field(ge=0, le=255)]
    """Of the work; 128 + signal where a signal ended it."""
    signal: str | None
    """What the script got, without SIG: USR1 before the time limit; TERM at a cancel, a preemption, the limit."""
    ended: str
    """As `StartRecord.started`."""
    decision: Decision
    reason: str | None
    """One sentence, where there is something to say."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a run by the scheduler. At least one of its two records is there."""

    start: StartRecord | None
    exit: ExitRecord | None

    @property
    def job_id(self) -> str:
        """The job as people name it: "123", "123_4" for a task of an array."""
        return self._known.job_id

    @property
    def restart(self) -> int:
        """How often Slurm had started the job before."""
        return self._known.restart

    @property
    def _known(self) -> StartRecord | ExitRecord:
        known = self.start or self.exit
        assert known is not None
        return known


def read_attempts(folder: Path) -> list[Attempt]:
    """Return the attempts of the run in `folder`, the first one first; an empty list where the script has not begun.

    A file that is no whole record (cut by a full disk, foreign, of a later hpcdl) counts as absent.
    """
    starts = {(record.job_id, record.restart): record for record in _records(folder, "start", StartRecord)}
    exits = {(record.job_id, record.restart): record for record in _records(folder, "exit", ExitRecord)}
    attempts = [Attempt(starts.get(key), exits.get(key)) for key in starts.keys() | exits.keys()]
    return sorted(attempts, key=_when)


def _when(attempt: Attempt) -> tuple[str, str, int]:
    time = attempt.start.started if attempt.start else attempt.exit.ended if attempt.exit else ""
    return time, attempt.job_id, attempt.restart


AnyRecord = TypeVar("AnyRecord", bound=_Record)


def _records(folder: Path, kind: str, model: type[AnyRecord]) -> Iterator[AnyRecord]:
    for path in (folder / ATTEMPTS_FOLDER).glob(f"*.{kind}.json"):
        try:
            yield model.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
