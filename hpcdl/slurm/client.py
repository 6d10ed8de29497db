"""Slurm through its own programs: one call for many jobs, a cleaned environment, patience with a busy controller."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpcdl.errors import HpcdlError
from hpcdl.slurm.answers import (
    SACCT_FIELDS,
    SQUEUE_FIELDS,
    SlurmJob,
    read_sacct,
    read_scontrol,
    read_scripts,
    read_squeue,
)

DROPPED = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "PMI_", "PMIX_", "PMI2_", "OMPI_", "PRTE_", "MPI_LOCAL")
"""Beginnings of variables that belong to the job one is in: sbatch would hand them on, and srun of the new job would
take them for its own (leaked SLURM_CPU_BIND, SLURM_CPUS_PER_TASK). SBATCH_ variables would beat the script."""
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")
"""Of those, what says which Slurm is meant."""
KEPT_BEGINNINGS = ("OMPI_MCA_", "PRTE_MCA_", "OMPI_ALLOW_")
"""Settings of the user's own MPI, no traces of a job."""

BUSY = re.compile(
    r"Socket timed out|Unable to contact slurm controller|Resource temporarily unavailable|Zero Bytes were transmitted|"
    r"in standby mode|Transport endpoint is not connected|Connection (?:refused|reset|timed out)|"
    r"Slurm temporarily unable|Slurm controller.*not respond|Unexpected message received"
)
"""The controller is down or has too much to do: worth another try (SchedMD/slurm, src/common/slurm_errno.c)."""
NEVER_ARRIVED = re.compile(r"connect failure|send failure|Resource temporarily unavailable|in standby mode")
"""Of those, the ones after which the controller has certainly not taken the job."""
UNKNOWN_JOB = re.compile(r"Invalid job id")

CALL_S = 60
WAITS_S = (2, 4, 8, 15, 30, 60)
"""Seconds between tries: two minutes together, and each call waits as long as Slurm's own MessageTimeout besides."""
SETTLE_S = 10
"""Seconds in which the controller may still take a job whose answer was lost: Slurm's MessageTimeout by default."""


class SlurmError(HpcdlError):
    """Slurm refused something, or did not answer."""

    exit_code = 1


class SlurmUnanswered(SlurmError):
    """Slurm did not answer, so that nobody knows whether it did what was asked."""


@dataclass(frozen=True)
class Submitted:
    """What sbatch answered."""

    job_id: str
    cluster: str | None = None
    """Where there is more than one and sbatch names it."""


def clean_environment(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables for Slurm's programs, and the names of those that were dropped."""
    dropped = [
        name
        for name in environ
        if name.startswith(DROPPED) and name not in KEPT and not name.startswith(KEPT_BEGINNINGS)
    ]
    return {name: value for name, value in environ.items() if name not in dropped}, sorted(dropped)


@dataclass
class Slurm:
    """Slurm's programs on this machine.

    Attributes:
        environ: the variables of here; what a job left in them is dropped.
        waits_s: seconds to wait before each further try while the controller is busy.
        sleep: waits so many seconds.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    waits_s: Sequence[float] = WAITS_S
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = lambda text: None
    """Is told, in a sentence, what is being waited for."""

    def __post_init__(self) -> None:
        cleaned, self.dropped = clean_environment(self.environ)
        self._env = {**cleaned, "SLURM_TIME_FORMAT": "standard", "LC_ALL": "C.UTF-8"}
        self._submit_env = cleaned

    def has(self, program: str) -> bool:
        """Tell whether a program is on the PATH."""
        return shutil.which(program, path=self.environ.get("PATH")) is not None

    def submit(self, script: Path, options: Sequence[str] = (), cluster: str | None = None) -> Submitted:
        """Give a script to sbatch and return the job's id; exactly one job comes of it.

        Where the answer is lost the controller is asked for a job with this script, which lies in the run's own folder
        and so is no other job's. Unlike a comment it is in no site's use and in every version's answer.

        Args:
            script: absolute path, unique to this job.
            options: further options of sbatch.
            cluster: where the script sends itself, if it names a cluster.

        Raises:
            SlurmError: sbatch refused the job, is not there, or the controller stayed away.
            SlurmUnanswered: nobody could be asked whether it took the job.
        """
        said = ""
        doubtful = False
        for wait_s in (*self.waits_s, None):
            done = self._call(["sbatch", "--parsable", *options, str(script)], self._submit_env)
            if done.returncode == 0 and (answer := _parse_id(done.stdout)):
                return self._only_one(script, answer, cluster) if doubtful else answer
            said = _last_line(done.stderr) or _last_line(done.stdout) or f"exit code {done.returncode}"
            if done.returncode == 127:
                raise SlurmError(said)
            lost = done.returncode == 0 or done.returncode == 124 or bool(BUSY.search(done.stderr))
            if not lost:
                raise SlurmError(f"sbatch refused the job: {said}. Correct the job or the site; nothing was submitted.")
            doubtful = doubtful or not NEVER_ARRIVED.search(done.stderr)
            if wait_s is not None:
                self.tell(f"{said}; trying again in {wait_s:g} s")
                self.sleep(max(wait_s, SETTLE_S) if doubtful else wait_s)
            if doubtful and (known := self._taken(script, cluster)):
                self.tell(f"sbatch's answer was lost, but job {known.job_id} is there")
                return known
        raise SlurmError(f"the controller did not answer: {said}. Nothing was submitted; try again later.")

    def _taken(self, script: Path, cluster: str | None) -> Submitted | None:
        """Return the job that was made of a script, None where the controller says that there is none.

        Raises:
            SlurmUnanswered: the controller does not say.
        """
        found = self.find(script, cluster)
        if found is None:
            raise SlurmUnanswered("sbatch's answer was lost, and squeue does not answer either.")
        return Submitted(found[0]) if found else None

    def _only_one(self, script: Path, answer: Submitted, cluster: str | None) -> Submitted:
        """Keep the first of the jobs that a doubtful submission made: its first request may have come late."""
        found = self.find(script, cluster) or [answer.job_id]
        first, *others = sorted({*found, answer.job_id}, key=int)
        for job_id in others:
            self._call(["scancel", *_at(cluster), job_id])
        return Submitted(first, answer.cluster)

    def find(self, script: Path, cluster: str | None = None) -> list[str] | None:
        """Return the ids of my jobs with this script, oldest first; None where nobody answers."""
        known = self.scripts(cluster)
        if known is None:
            return None
        return sorted({job_id for job_id, path in known if path == str(script)}, key=int)

    def scripts(self, cluster: str | None = None) -> list[tuple[str, str]] | None:
        """Return (job id, script) of all my jobs that the controller knows; None where it does not answer."""
        options = ["--noheader", "--states=all", f"--user={os.getuid()}", "--format=%i|%o"]
        done = self._patient(["squeue", *options, *_at(cluster)])
        return None if done.returncode else read_scripts(done.stdout)

    def queue(self, job_ids: Sequence[str], cluster: str | None = None) -> dict[str, SlurmJob] | None:
        """Return what the controller knows of jobs, in one call of squeue; None where it does not answer.

        A job that ended a while ago (MinJobAge, five minutes by default) is not known any more.
        """
        if not job_ids:
            return {}
        options = ["--noheader", "--array", "--states=all", f"--format={SQUEUE_FIELDS}"]
        done = self._patient(["squeue", *options, *_at(cluster), f"--jobs={_bases(job_ids)}"])
        if done.returncode and not UNKNOWN_JOB.search(done.stderr):
            return None
        return read_squeue(done.stdout)

    def show(self, job_id: str, cluster: str | None = None) -> SlurmJob | None:
        """Return what scontrol says of one job; None where it knows none or does not answer."""
        done = self._call(["scontrol", *_at(cluster), "--oneliner", "show", "job", job_id])
        return read_scontrol(done.stdout).get(job_id) if done.returncode == 0 else None

    def accounting(self, job_ids: Sequence[str], cluster: str | None = None) -> dict[str, SlurmJob] | None:
        """Return what the accounting knows of jobs, in one call of sacct; None where there is none or no answer."""
        if not job_ids:
            return {}
        options = ["--noheader", "--parsable2", f"--format={SACCT_FIELDS}"]
        done = self._call(["sacct", *options, *_at(cluster), f"--jobs={_bases(job_ids)}"])
        return read_sacct(done.stdout) if done.returncode == 0 else None

    def cancel(self, job_ids: Sequence[str], cluster: str | None = None) -> None:
        """Cancel jobs, waiting or running.

        Raises:
            SlurmError: scancel refused, or the controller stayed away.
        """
        done = self._patient(["scancel", *_at(cluster), *job_ids])
        if done.returncode:
            raise SlurmError(
                f"scancel: {_last_line(done.stderr) or f'exit code {done.returncode}'}. Nothing is certain."
            )

    def _patient(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a program that changes nothing when it is run twice; again while the controller is busy."""
        done = self._call(command)
        for wait_s in self.waits_s:
            if not done.returncode or not (done.returncode == 124 or BUSY.search(done.stderr)):
                break
            self.tell(f"{_last_line(done.stderr)}; trying again in {wait_s:g} s")
            self.sleep(wait_s)
            done = self._call(command)
        return done

    def _call(self, command: list[str], env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program; 127 means that it is not there, 124 that it took too long."""
        program = shutil.which(command[0], path=self.environ.get("PATH"))
        if program is None:
            return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not on the PATH of this machine.")
        try:
            return subprocess.run(
                [program, *command[1:]],
                env=dict(env or self._env),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=CALL_S,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"{command[0]} gave no answer within {CALL_S} s")
        except OSError as fault:
            return subprocess.CompletedProcess(command, 127, "", f"{program} cannot be started ({fault.strerror}).")


def _parse_id(text: str) -> Submitted | None:
    """Read `ID` or `ID;CLUSTER`; sites let their sbatch say more before it."""
    for line in reversed(text.splitlines()):
        if match := re.fullmatch(r"\s*(\d+)(?:;(\S+))?\s*", line):
            return Submitted(match[1], match[2])
    return None


def _at(cluster: str | None) -> list[str]:
    return [f"--clusters={cluster}"] if cluster else []


def _bases(job_ids: Sequence[str]) -> str:
    """The jobs of ids, arrays as a whole: a task that waits is no job of its own yet."""
    return ",".join(dict.fromkeys(job_id.partition("_")[0] for job_id in job_ids))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^\w+: (?:error: )?", "", lines[-1]) if lines else ""
