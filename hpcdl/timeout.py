"""What a job does when its time limit comes near: the `on_timeout:` section of a job file."""

from typing import Annotated

from pydantic import Field, model_validator

from hpcdl import values
from hpcdl.exits import Exit
from hpcdl.values import Command, TimeLimit
from hpcdl.yamlfile import Section

LONGEST_NOTICE_S = 65535
"""sbatch --signal takes no more."""
SLACK_S = 60
"""Slurm may send the signal so much earlier (man sbatch, --signal)."""
SHORTEST_JOB_S = 600
"""A training with a shorter time limit gets no notice unless its file asks for one."""


class OnTimeout(Section):
    """Slurm's signal before the time limit, what it does, and how often the job goes back to the queue."""

    signal_before: TimeLimit = "00:02:00"
    """How long before the time limit SIGUSR1 is sent, HH:MM:SS; Slurm may send it a minute earlier."""
    requeues: Annotated[int, Field(ge=0)] = 3
    """How often the job is requeued at most; starts that Slurm itself has repeated (a preemption) count too."""
    exit_code: Annotated[int, Field(ge=1, le=125)] = int(Exit.STOPPED)
    """A command that leaves with this exit code after the signal has written a checkpoint and is to be requeued; all
    ranks must leave with it."""
    checkpoint_command: Command | None = None
    """Run on the job's first node at the signal instead of handing it on to the ranks: it makes the running command
    write a checkpoint. If it succeeds the command is ended by SIGTERM and the job requeued."""

    @property
    def signal_before_s(self) -> int:
        """`signal_before` in seconds."""
        return values.seconds(self.signal_before)

    @model_validator(mode="after")
    def _slurm_can_send_it(self) -> "OnTimeout":
        if self.signal_before_s > LONGEST_NOTICE_S:
            raise ValueError(f"signal_before: {self.signal_before} is more than Slurm takes; give at most 18:12:15.")
        return self
