"""Running a job on this machine with mpirun, and following it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hpcdl import runlog
from hpcdl.errors import HpcdlError, RunError
from hpcdl.job import Job, load_job
from hpcdl.run import record
from hpcdl.run.folder import FOLDER_VARIABLE, JOB_FILE, make_run_folder
from hpcdl.run.tail import Tail

RANKS_VARIABLE = "HPCDL_RANKS"
"""Tells the ranks how many of them were asked for: a rank that finds another number refuses to train."""

MPI_SETTINGS = {
    # As variables, so that the command is the same for every MPI: Open MPI 4 reads OMPI_, Open MPI 5 PRTE_.
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    # All ranks are on this machine. Looking for a fabric between machines takes Open MPI 5 a second of waiting.
    "OMPI_MCA_btl": "^ofi",
}

POLL_S = 0.1
END_GRACE_S = 10
OUT_OF_TIME = "stopped at its time limit"
"""The reason of a run that `follow` ended."""


class Line(NamedTuple):
    """Something that a run said."""

    source: str
    """`output`, `error` (a line of the two logs) or `progress` (the text of an event of metrics.jsonl)."""
    text: str


def mpirun_command(num_ranks: int, command: list[str]) -> list[str]:
    """Return the argument list that starts `command` on `num_ranks` local ranks; one rank needs no launcher.

    Raises:
        RunError: there is no mpirun, neither beside this Python nor on the PATH.
    """
    if num_ranks == 1:
        return command
    beside = Path(sys.executable).with_name("mpirun")
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun")
    if not mpirun:
        raise RunError(
            f"{num_ranks} ranks need mpirun, which is neither in {beside.parent} nor on the PATH. "
            "Load the site's MPI module or set up the environment with envs/setup.sh; `-n 1` runs without MPI."
        )
    return [mpirun, "-n", str(num_ranks), *command]


def mpirun_environment(num_ranks: int) -> dict[str, str]:
    """Return the environment for local ranks: this process's, what MPI needs, and the number that was asked for."""
    return {**MPI_SETTINGS, **os.environ, RANKS_VARIABLE: str(num_ranks), "PYTHONUNBUFFERED": "1"}


class LocalRun:
    """One job on local MPI ranks: iterate over what `follow` yields, then look at `exit_code`."""

    def __init__(self, job: Job, num_ranks: int, folder: Path, run_id: str):
        """Take the folder of a run whose record is there; `create` and `resume` make one. Nothing is started yet.

        Raises:
            RunError: there is no mpirun.
        """
        self.folder, self._num_ranks = folder, num_ranks
        self._command = _command(num_ranks, folder)
        self.output = folder / f"{job.log_prefix}_out.{run_id}"
        self.error = folder / f"{job.log_prefix}_err.{run_id}"
        self.exit_code: int | None = None

    @classmethod
    def create(cls, job: Job, job_file: Path, num_ranks: int, runs: Path) -> "LocalRun":
        """Make a folder and a record for a new run.

        Raises:
            RunError: there is no mpirun, or the folder cannot be made.
        """
        mpirun_command(num_ranks, [])  # says what is missing before anything is made
        try:
            folder, run_id = make_run_folder(runs, job)
        except OSError as fault:
            raise RunError(f"{runs}: no run's folder can be made ({fault.strerror}). Choose one by --runs.") from None
        return cls.begin(job, job_file, num_ranks, folder, run_id)

    @classmethod
    def begin(cls, job: Job, job_file: Path, num_ranks: int, folder: Path, run_id: str) -> "LocalRun":
        """Make the record of a new run in its folder, which holds the job already.

        Raises:
            RunError: there is no mpirun.
        """
        run = cls(job, num_ranks, folder, run_id)
        record.create(
            folder,
            **record.of_job(job, job_file, run_id),
            scheduler="local",
            ranks=num_ranks,
            command=run._command,
            output=run.output.name,
            error=run.error.name,
        )
        return run

    @classmethod
    def resume(cls, folder: Path, num_ranks: int | None) -> "LocalRun":
        """Take up a run that has not finished; it goes on from its newest checkpoint, on its own number of ranks.

        Raises:
            HpcdlError: the folder holds no run, or one that has finished; or there is no mpirun.
        """
        try:
            known = record.read(folder)
        except (OSError, ValueError):
            raise HpcdlError(
                f"{folder}: holds no run (no readable {record.RECORD_FILE}). Give a folder of runs/."
            ) from None
        if known["status"] == "success":
            raise HpcdlError(f"{folder}: this run has finished; there is nothing to resume.")
        run = cls(load_job(folder / JOB_FILE), num_ranks or known["ranks"], folder, known["id"])
        record.restart(folder, run._num_ranks, run._command)
        return run

    def follow(self, limit_s: float | None = None) -> Generator[Line, None, None]:
        """Start the ranks and yield what they say until the last of them has ended.

        Their logs are files from the first line on, so that nothing is lost with this process. An interruption ends
        the ranks and is recorded; close the generator when you stop reading it early.

        Args:
            limit_s: seconds after which the ranks are ended; the run's reason is then OUT_OF_TIME.
        """
        began = time.monotonic()
        reason = None
        with open(self.output, "ab") as output, open(self.error, "ab") as error:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=error,
                env={**mpirun_environment(self._num_ranks), FOLDER_VARIABLE: str(self.folder)},
            )
        try:
            yield from self._lines(process, None if limit_s is None else began + limit_s)
        except TimeoutError:
            reason = OUT_OF_TIME
            _stop(process)
        except BaseException:  # Ctrl-C here or, when it came to who reads the lines, the end of this generator
            reason = "interrupted"
            _stop(process)
            raise
        finally:
            code = process.wait()
            self.exit_code = code if code >= 0 else 128 - code
            self._finish(time.monotonic() - began, reason)

    def _lines(self, process: subprocess.Popen[bytes], deadline: float | None) -> Iterator[Line]:
        tails = {
            "output": Tail(self.output),
            "error": Tail(self.error),
            "progress": Tail(self.folder / runlog.METRICS_FILE),
        }
        while True:
            ended = process.poll() is not None  # asked before reading: what is written until then is read
            for source, tail in tails.items():
                for text in tail.read(all_of_it=ended):
                    yield Line(source, text)
            if ended:
                return
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(POLL_S)

    def _finish(self, time_s: float, reason: str | None) -> None:
        known: dict[str, Any] = {"ended": record.now(), "time_s": round(time_s, 3), "exit_code": self.exit_code}
        if self.exit_code != 0:
            known |= {"status": "aborted", "reason": reason or record.read(self.folder)["reason"] or self.last_error()}
        record.update(self.folder, **known)

    def last_error(self) -> str | None:
        """Return the sentence in which the run said why it failed, None when it said nothing of that form."""
        lines = self.error.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), None)


def _command(num_ranks: int, folder: Path) -> list[str]:
    return mpirun_command(num_ranks, [sys.executable, "-m", "hpcdl", "train", str(folder / JOB_FILE)])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End mpirun, which ends its ranks; by force when it does not within END_GRACE_S seconds."""
    process.terminate()
    try:
        process.wait(END_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
