"""One row of the result table: what a run reached, how fast, and why it ended."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpcdl.run.states import Verdict

OUTCOMES: dict[str, str] = {
    "completed": "ended by itself, with its work done as far as the logs tell",
    "running": "still at work",
    "time_limit": "ended by the scheduler at the time limit",
    "cancelled": "ended by a user or an administrator",
    "preempted": "ended by the scheduler for another job",
    "node_failure": "a node failed",
    "oom_host": "the host's memory was exhausted and a process killed",
    "oom_gpu": "the GPU's memory was exhausted",
    "memory_limit": "ended by the scheduler for using more memory than it had asked for",
    "disk_full": "a disk or a quota was full",
    "module_error": "an environment module or a package that it needs could not be loaded",
    "launch_failure": "did not start: no program, no log, no node to run on",
    "crash": "ended by an error of the program: exception, signal, exit code, MPI abort",
    "crash_after_training": "training was finished, then came an error",
    "incomplete": "the log stops before the work was done, and nothing says why",
    "unknown": "the logs do not tell",
}
"""The outcomes of a run, and what each means."""

COLUMNS: dict[str, str] = {
    "run": "str: the run's name; the folder's for a run of hpcdl, else what the names of its files share",
    "files": "list of str: the files that were read, as paths",
    "job_id": "str: the scheduler's number, with _TASK for a task of an array",
    "job": "str: the job's name",
    "scheduler": "str: slurm, pbs, lsf, local (mpirun on one machine), kubernetes",
    "framework": "str: what trained, such as keras or pytorch",
    "ranks": "int: processes that trained together",
    "outcome": "str: one of OUTCOMES",
    "cause": "str: why it ended, in one sentence; empty for a run that completed",
    "evidence_file": "str: the file in which the reason for the outcome stands",
    "evidence_line": "int: its line there, from 1",
    "evidence": "str: its text",
    "expect": "str: met or missed, as the `expect:` of the job says; empty where it says nothing",
    "epochs_done": "int: complete epochs",
    "epochs_planned": "int: epochs asked for",
    "partial": "str: where an epoch stood that did not end; its numbers are in no other column",
    "loss": "float: training loss of the last complete epoch (or of the last step where there are no epochs)",
    "accuracy": "float, 0..1: training accuracy of the last complete epoch",
    "val_loss": "float: validation loss of the last complete epoch",
    "val_accuracy": "float, 0..1: validation accuracy of the last complete epoch",
    "best_val_accuracy": "float, 0..1: the highest validation accuracy of all epochs",
    "best_epoch": "int: its epoch, as the log counts",
    "test_loss": "float: loss of the test after training",
    "test_accuracy": "float, 0..1: accuracy of the test after training",
    "images_per_s": "float, images/s: throughput of all ranks together",
    "epoch_s": "float, s: duration of the last complete epoch",
    "time_s": "float, s: duration of the whole run",
}
"""The columns of every machine format, in order: type, unit, meaning. A quantity that is not known is null. Any other
metric follows as `metric.NAME` (float), then what the job file says, by its dotted keys (`train.batch_size`)."""

INT_COLUMNS = ("ranks", "evidence_line", "epochs_done", "epochs_planned", "best_epoch")
FLOAT_COLUMNS = (
    "loss accuracy val_loss val_accuracy best_val_accuracy test_loss test_accuracy images_per_s epoch_s time_s"
).split()


@dataclass(frozen=True)
class Evidence:
    """A place in a log that shows something."""

    file: str
    line: int | None
    """From 1; None where the whole file is meant."""
    text: str


@dataclass
class Row:
    """One run. The fields are described in COLUMNS; those from `next_step` on are no columns."""

    run: str
    files: list[str] = field(default_factory=list)
    job_id: str | None = None
    job: str | None = None
    scheduler: str | None = None
    framework: str | None = None
    ranks: int | None = None
    outcome: str = "unknown"
    cause: str | None = None
    evidence: Evidence | None = None
    epochs_done: int | None = None
    epochs_planned: int | None = None
    partial: str | None = None
    loss: float | None = None
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    best_val_accuracy: float | None = None
    best_epoch: int | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    images_per_s: float | None = None
    epoch_s: float | None = None
    time_s: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """Every other number, by name."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What the job says (settings.flat), for a run of hpcdl; empty where the job is not known."""
    next_step: str | None = None
    """What the user can do about the outcome."""
    unmet: list[str] | None = None
    """Expectations of the job file that the result misses; None where the job states none."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the row must know, such as a value that was left out and why."""
    verdict: "Verdict | None" = None
    """The state of the job it ran as, where Slurm or a script of hpcdl's ran it."""
    history: list[dict[str, float]] = field(default_factory=list)
    """The complete epochs in order: `epoch` (as the log counts) and what is known of it, by the names of EPOCH_COLUMNS
    and metrics."""
    rank_map: list[dict[str, Any]] = field(default_factory=list)
    """The ranks of a run of hpcdl: rank, host, local_rank, device, images_per_s."""

    @property
    def expect(self) -> str | None:
        """`met` or `missed`; None where the job expects nothing, and while it runs."""
        if self.unmet is None or self.outcome == "running":
            return None
        return "missed" if self.unmet else "met"

    def as_dict(self) -> dict[str, Any]:
        """Return the row by column, in the order of COLUMNS, then its `metric.NAME`s, then its settings."""
        shown = self.evidence
        file, line, text = (shown.file, shown.line, shown.text) if shown else (None, None, None)
        values = vars(self) | {"evidence_file": file, "evidence_line": line, "evidence": text, "expect": self.expect}
        row = {column: values[column] for column in COLUMNS}
        row |= {f"metric.{name}": value for name, value in sorted(self.metrics.items())}
        return row | {name: value for name, value in self.settings.items() if name not in row}
