"""The sandbox of a test session, as a user on its login node sees it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from hpcdl.sandbox import login
from hpcdl.sandbox.cluster import Cluster
from hpcdl.sandbox.state import Sandbox
from hpcdl.sandbox.waiting import wait_until

RUNNING = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", ""}


@dataclass(frozen=True)
class Slurm:
    """A sandbox and a folder for its jobs."""

    sandbox: Sandbox
    cluster: Cluster
    folder: Path
    """A folder that all nodes see."""

    def run(self, *words: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the login node."""
        command, env = login.command_line(self.sandbox, words, "root", folder or self.folder)
        return subprocess.run(command, env=env | variables, capture_output=True, text=True, timeout=120)

    def out(self, *words: str) -> str:
        """Run a command that must succeed and return what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def submit(self, body: str, *options: str, **variables: str) -> str:
        """Submit a bash script and return the job id; its log is `log(job)`."""
        script = self.folder / f"script-{len(list(self.folder.iterdir()))}.sh"
        script.write_text(f"#!/bin/bash\n{body}\n")
        done = self.run("sbatch", "--parsable", "--output=%j.log", *options, str(script), **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def log(self, job: str) -> str:
        """What a job printed."""
        return (self.folder / f"{job}.log").read_text()

    def state(self, job: str) -> str:
        """A job's state in the accounting, the newest if it was requeued."""
        words = self.out("sacct", "--noheader", "--parsable2", "-X", "--format=State", f"--jobs={job}").split()
        return words[0] if words else ""

    def end(self, job: str, seconds: float = 60) -> str:
        """Wait for a job's end and return the state that Slurm gives it."""
        wait_until(lambda: self.state(job) not in RUNNING, seconds, f"the end of job {job} ({self.state(job)})")
        return self.state(job)

    def wait_running(self, *jobs: str) -> None:
        """Wait until jobs run and their first line is in the log."""

        def all_run() -> bool:
            return all((self.folder / f"{job}.log").exists() and self.log(job) for job in jobs)

        wait_until(all_run, 60, f"jobs {', '.join(jobs)} to print something")
