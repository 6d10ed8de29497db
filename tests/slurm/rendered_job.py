"""A job file, rendered for the sandbox and submitted there as a user would, and what its script records."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from slurm_session import Slurm

from hpcdl.job import Job
from hpcdl.run.attempts import Attempt, read_attempts
from hpcdl.sandbox.waiting import wait_until
from hpcdl.script import render
from hpcdl.settings import Settings
from hpcdl.site import load_site


@dataclass
class Submitted:
    """A rendered job of the sandbox, or one task of its array."""

    slurm: Slurm
    folder: Path
    name: str
    prefix: str
    """How the names of its logs begin."""
    job: str
    task: str = ""

    @property
    def id(self) -> str:
        return f"{self.job}_{self.task}" if self.task else self.job

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs" / f"{self.name}-{self.job}" / self.task

    @property
    def attempts(self) -> list[Attempt]:
        return read_attempts(self.run_folder)

    @property
    def endings(self) -> list[tuple[str, int, str | None]]:
        """Decision, exit code and signal of each attempt that has ended."""
        return [(end.decision, end.exit_code, end.signal) for end in (attempt.exit for attempt in self.attempts) if end]

    def log(self, stream: str) -> str:
        path = self.folder / f"{self.prefix}_{stream}.{self.id}"
        return path.read_text() if path.exists() else ""

    def wait_started(self, restart: int = 0, said: str = "") -> None:
        """Wait for a start's record, and a word that each start prints; Slurm's pause after a requeue is cut short."""

        def started() -> bool:
            shown = self.slurm.run("scontrol", "show", "job", self.id).stdout
            eligible = re.search(r"JobState=PENDING .*EligibleTime=(\S+)", shown, re.DOTALL)
            if eligible and datetime.fromisoformat(eligible[1]) > datetime.now() + timedelta(seconds=10):
                # Not at once: slurmd refuses a step whose number it has just ended.
                self.slurm.run("scontrol", "update", f"jobid={self.id}", "starttime=now+5")
            return len(self.attempts) > restart and (not said or self.log("out").count(said) > restart)

        wait_until(started, 90, f"start {restart} of job {self.id}")

    def wait_endings(self, number: int) -> None:
        """Wait until so many attempts have recorded their end."""
        wait_until(lambda: len(self.endings) >= number, 120, f"the end of attempt {number} of job {self.id}")


def submit(
    slurm: Slurm,
    folder: Path,
    job: dict,
    task: str = "",
    settings: Settings | None = None,
    **variables: str,
) -> Submitted:
    """Render a job file's content for the sandbox's site and submit it."""
    folder.mkdir(exist_ok=True)
    checked = Job.model_validate(job)
    (folder / "job.sh").write_text(render(checked, "job.yaml", load_site("jureca"), settings or Settings()))
    done = slurm.run("sbatch", "--parsable", "job.sh", folder=folder, **variables)
    assert done.returncode == 0, done.stderr
    return Submitted(slurm, folder, checked.name, checked.log_prefix, done.stdout.strip(), task)
