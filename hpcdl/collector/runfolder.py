"""Read a run of hpcdl's own: a folder with record.json, metrics.jsonl and the two logs."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from hpcdl import runlog
from hpcdl.collector import epochs, metrics, ranks, settings
from hpcdl.collector.find import MARKS
from hpcdl.collector.logs import Logs, read_logs
from hpcdl.collector.row import Evidence, Row
from hpcdl.exits import Exit
from hpcdl.run import record as run_record
from hpcdl.run.known import known_facts
from hpcdl.run.states import Facts, State, Verdict, judge
from hpcdl.run.submission import array_index, last_submission

STOPPED = re.compile(r"(SIG\w+) stopped the run")
"""The trainer's own reason after a signal; SIGUSR1 is what our batch scripts ask Slurm for before the time limit."""

RUNS = "status running"
"""How the evidence begins for a run whose record says that it runs."""

SILENCE_S = 900
"""A run on another host that wrote nothing for so long, in seconds, is taken for dead."""

FROM_OUTSIDE = (
    *("time_limit", "cancelled", "preempted", "node_failure", "oom_host", "oom_gpu", "memory_limit", "disk_full"),
    *("launch_failure", "module_error"),
)
"""Outcomes that the logs know better than the record."""

SLURM = "Slurm"
"""Stands for the file of an evidence that one of Slurm's programs or the job's script gave."""

OF_STATE = {
    State.COMPLETED: "completed",
    State.FAILED: "crash",
    State.TIMEOUT: "time_limit",
    State.DEADLINE: "time_limit",
    State.OUT_OF_MEMORY: "oom_host",
    State.NODE_FAIL: "node_failure",
    State.PREEMPTED: "preempted",
    State.CANCELLED: "cancelled",
    State.LAUNCH_FAILED: "launch_failure",
    State.LOST: "incomplete",
    State.UNKNOWN: "unknown",
}
"""The outcome of a run that Slurm and its script tell of; in any other state it is running, or waits."""


def read_run_folder(folder: Path, warn: Callable[[str], None], facts: Facts | None = None) -> Row:
    """Return the row of the run in `folder`; what cannot be read is left out, with one warning each.

    Args:
        facts: what is known of the run's job under Slurm; by default what the folder tells, with nobody asked.
    """
    record = _record(folder, warn)
    events = _events(folder, warn)
    index = array_index(folder.resolve())
    row = Row(
        run=folder.resolve().name if index is None else f"{folder.resolve().parent.name}/{index}",
        files=[str(path) for path in sorted(folder.iterdir()) if _is_log(path)],
        job_id=last_submission(folder.resolve())[1] or _text(record.get("job_id")),
        job=_text(record.get("name")),
        scheduler=_text(record.get("scheduler")),
        framework="keras",
        ranks=metrics.integer(record.get("ranks")),
        time_s=metrics.number(record.get("time_s")),
    )
    metrics.fill(row, events)
    row.settings = settings.flat(record["job"]) if isinstance(record.get("job"), dict) else {}
    row.history = epochs.of_events(metrics.complete_epochs(events))
    row.rank_map = ranks.of_events(metrics.last_part(events))
    if row.epochs_planned is None:
        row.epochs_planned = _planned(record)
    _outcome(row, folder, record, events)
    facts = facts or known_facts(folder.resolve(), record)
    if facts:
        _by_scheduler(row, judge(facts), facts)
    if (
        not _is_sure(row, facts)
        and row.outcome not in ("completed", "running")
        and record.get("exit_code") != Exit.STOPPED
    ):
        _ask_the_logs(row, folder, warn)
    row.unmet = _unmet(row, record, folder, warn)
    return row


def is_settled(row: Row) -> bool:
    """Tell whether a row rests on the run's files alone, not on whether a process lives or how long it is silent."""
    if row.verdict and row.verdict.state in (State.LOST, State.UNKNOWN):
        return False
    return row.outcome != "running" and not (row.evidence and row.evidence.text.startswith(RUNS))


def _is_log(path: Path) -> bool:
    return path.is_file() and (path.name in MARKS or _is_text_log(path))


def _is_text_log(path: Path) -> bool:
    return "_out." in path.name or "_err." in path.name or path.name == runlog.MLLOG_FILE


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _record(folder: Path, warn: Callable[[str], None]) -> dict[str, Any]:
    path = folder / run_record.RECORD_FILE
    try:
        return run_record.read(folder)
    except FileNotFoundError:
        warn(f"{path}: not there; the run's name, time and exit code are not known")
    except (OSError, ValueError) as error:
        warn(f"{path}: cannot be read ({_reason(error)}); the run's name, time and exit code are not known")
    return {}


def _events(folder: Path, warn: Callable[[str], None]) -> list[dict[str, Any]]:
    path = folder / runlog.METRICS_FILE
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            events, broken = runlog.read_events(lines)
    except FileNotFoundError:
        return []  # a run that died before its first step has none: the record tells
    except OSError as error:
        warn(f"{path}: cannot be read ({_reason(error)})")
        return []
    if broken:
        warn(f"{path}: {broken} line{'s' * (broken > 1)} cut or damaged, left out")
    return events


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _planned(record: dict[str, Any]) -> int | None:
    """Return the epochs that the job asks for; None where it has no training."""
    job = record.get("job")
    training = job.get("train") if isinstance(job, dict) else None
    return metrics.integer(training.get("epochs")) if isinstance(training, dict) else None


def _outcome(row: Row, folder: Path, record: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """Judge why the run ended, from its own record and its last event."""
    end = metrics.last(metrics.last_part(events), "run_end")
    status, exit_code = record.get("status"), metrics.integer(record.get("exit_code"))
    record_file, metrics_file = str(folder / run_record.RECORD_FILE), str(folder / runlog.METRICS_FILE)
    finished = row.epochs_planned is not None and row.epochs_done == row.epochs_planned
    reason = record.get("reason") or end.get("reason")
    if status == "success" and not exit_code:
        row.outcome, row.evidence = "completed", Evidence(record_file, None, "status success")
    elif end.get("status") == "success" and not exit_code and status != "aborted":
        row.outcome, row.evidence = "completed", Evidence(metrics_file, len(events), "run_end, status success")
    elif stopped := STOPPED.match(reason or ""):
        row.outcome = "time_limit" if stopped[1] == "SIGUSR1" else "cancelled"
        row.cause, row.evidence = reason, Evidence(record_file if record else metrics_file, None, str(reason))
        row.next_step = "submit it again with the same folder: it goes on from its checkpoint"
    elif status == "aborted" or end or exit_code:
        row.outcome = "crash_after_training" if finished and row.test_loss is not None else "crash"
        row.cause = reason or _exit_text(exit_code) or "the run was aborted; it gave no reason"
        row.evidence = Evidence(record_file if record else metrics_file, None, str(reason or f"exit_code {exit_code}"))
        row.next_step = "read the last lines of the run's _err log"
    elif status == "running":
        row.outcome, row.cause, sign = _still_there(folder, record)
        row.evidence = Evidence(record_file, None, sign)
        if row.outcome == "incomplete":
            row.next_step = "start it again; if it ran under a scheduler, ask that for the reason (sacct -j JOBID)"
    elif events:
        row.outcome, row.cause = "incomplete", "the metrics stop without an end, and there is no record of the run"
        row.evidence = Evidence(metrics_file, len(events), f"last event: {events[-1]['event']}")
    else:
        row.outcome, row.cause = "unknown", "neither the record nor the metrics tell anything"


def _by_scheduler(row: Row, verdict: Verdict, facts: Facts) -> None:
    """Judge by the job's script and Slurm, whose word on the whole job counts more than the training's on its part."""
    by_training, cause, by_evidence = row.outcome, row.cause, row.evidence
    row.verdict = verdict
    row.outcome = OF_STATE.get(verdict.state, "running")
    row.cause, row.next_step = verdict.cause, verdict.next_step
    row.evidence = Evidence(SLURM, None, verdict.evidence) if verdict.evidence else None
    if verdict.state is State.FAILED and by_training in ("crash", "crash_after_training"):
        row.outcome, row.cause, row.evidence = by_training, cause, by_evidence  # the training knows what went wrong
    if row.time_s is None:
        row.time_s = _time_of(facts)


def _is_sure(row: Row, facts: Facts | None) -> bool:
    """Tell whether the logs have nothing to add. After a requeue they also hold why an earlier attempt ended."""
    if row.verdict is None or facts is None:
        return False
    if row.verdict.state in (State.LOST, State.UNKNOWN):
        return len(facts.attempts) > 1
    return row.verdict.state is not State.FAILED


def _time_of(facts: Facts) -> float | None:
    """Return the seconds that the attempts took together; None where one of them did not write down its end."""
    total = 0.0
    for attempt in facts.attempts:
        if not (attempt.start and attempt.exit):
            return None
        total += (
            datetime.fromisoformat(attempt.exit.ended) - datetime.fromisoformat(attempt.start.started)
        ).total_seconds()
    return total if facts.attempts else None


def _ask_the_logs(row: Row, folder: Path, warn: Callable[[str], None]) -> None:
    """Take the reason from the run's two logs where they know more: what is killed cannot record why."""
    written = [path for path in sorted(folder.iterdir(), reverse=True) if path.is_file() and path.stat().st_size]
    logs = Logs(row.run, [path for path in written if _is_text_log(path)])
    told = read_logs(logs, warn)
    if not told:
        return
    last = told[-1]
    only_slurm = row.verdict is not None and row.outcome == "crash" and row.evidence and row.evidence.file == SLURM
    if last.outcome in FROM_OUTSIDE or (
        (row.outcome in ("incomplete", "unknown") or only_slurm) and last.outcome == "crash"
    ):
        row.outcome, row.cause, row.evidence, row.next_step = last.outcome, last.cause, last.evidence, last.next_step


def _exit_text(exit_code: int | None) -> str | None:
    if exit_code is None:
        return None
    if exit_code > 128:
        try:
            return f"ended by signal {signal.Signals(exit_code - 128).name} (exit code {exit_code})"
        except ValueError:
            pass
    return f"exit code {exit_code}"


def _still_there(folder: Path, record: dict[str, Any]) -> tuple[str, str | None, str]:
    """Judge a run whose record says that it runs: outcome, cause, and the sign that tells."""
    if record.get("host") == socket.gethostname():
        if _is_alive(record.get("pid")):
            return "running", None, f"{RUNS}, process {record['pid']} is alive"
        return "incomplete", "the run stopped without an end: the process that started it is gone", RUNS
    silence_s = time.time() - max(path.stat().st_mtime for path in folder.iterdir() if path.is_file())
    sign = f"{RUNS}, last written to {silence_s / 60:.0f} minutes ago"
    if silence_s < SILENCE_S:
        return "running", None, sign
    where = record.get("host") or "an unknown host"
    return "incomplete", f"the run has no end and fell silent; its process on {where} cannot be seen from here", sign


def _is_alive(pid: Any) -> bool:
    """Tell whether the process is there. A number is used again: where /proc tells, it must be a process of hpcdl."""
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError, OverflowError):
        return False  # gone, or another user's: not the run's
    try:
        return b"hpcdl" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def _unmet(row: Row, record: dict[str, Any], folder: Path, warn: Callable[[str], None]) -> list[str] | None:
    """Return what the job expects and the row does not show; None where the job expects nothing."""
    if not isinstance(record.get("job"), dict) or not record["job"].get("expect"):
        return None
    from pydantic import ValidationError

    from hpcdl.job import Job

    try:
        job = Job.model_validate(record["job"])
    except ValidationError as error:
        warn(f"{folder / run_record.RECORD_FILE}: the job in it is no job of this version ({error.errors()[0]['msg']})")
        return None
    return job.unmet(row.as_dict())
