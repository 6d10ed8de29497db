"""Why a run ended: its signs weighed.

The order is one of causes, not of keywords:
1. the scheduler ended it for a reason of its own: time, memory, preemption, a node;
2. an error of the program, unless the training went on after it; the last one, since what follows from it is known
   and set aside (a launcher that noticed, ranks that lost their peer);
3. someone cancelled it;
4. what only follows from an error that is not in the log: exit codes, tasks that were ended;
5. no reason: then it is completed where something shows that the work was done, else incomplete or unknown.
"""

from hpcdl.collector.row import Evidence, Row
from hpcdl.collector.story import Seen, Story

NEXT: dict[str, str] = {
    "time_limit": "ask for more time, or continue from a checkpoint",
    "oom_host": "ask for more memory (--mem) or read the data in smaller parts; sacct -j JOBID -o MaxRSS tells the use",
    "memory_limit": "ask for more memory (--mem)",
    "oom_gpu": "take a smaller batch per rank (micro-batches keep the global batch), or lower precision",
    "node_failure": "submit it again; if the node fails again, exclude it (--exclude=NODE) and tell the site",
    "preempted": "submit it again, with checkpoints and --requeue",
    "cancelled": "nothing to repair: it was ended by hand",
    "disk_full": "free space or quota where the run writes, then submit it again",
    "module_error": "check the module or package names in the set-up of the job, and try them on a login node",
    "launch_failure": "check the paths and resources in the job script",
    "crash": "repair the error above; the evidence names its line",
    "crash_after_training": "the training's results stand; repair what comes after it",
    "incomplete": "ask the scheduler for the reason (sacct -j JOBID), or start it again",
}


AFTER_TRAINING = ("crash", "oom_gpu", "oom_host", "disk_full", "module_error")
"""Errors of a program that are another matter once its training is done."""

NEAR_THE_END = 20
"""Lines from the end of a file."""

STOPPED = "the log stops before the training was done, and nothing in it says why"


def judge(row: Row, story: Story) -> None:
    """Set the row's outcome, cause, evidence and next step from the story's signs; `row` has its training's numbers."""
    signs = Signs(story)
    finished = _finished(row, story, signs)
    chosen = _ended_by_scheduler(signs, finished) or _error_or_cancellation(signs) or _follow_up(signs, finished)
    if not chosen:
        _without_reason(row, story, signs, finished)
        return
    code, cause = chosen.sign.code, chosen.sign.cause
    if finished and code in AFTER_TRAINING and chosen.sign.level != "scheduler":
        code = "crash_after_training"
    who = signs.last("epilogue", only="cancelled")
    if code == "cancelled" and who and who is not chosen:
        cause = f"{cause} ({who.sign.cause})"
    _set(row, code, chosen.evidence, cause)


class Signs:
    """The signs of a story, looked at by level."""

    def __init__(self, story: Story) -> None:
        self._seen = list(story.signs.values())
        self._progress = story.progress

    def last(self, level: str, only: str | None = None, without: str | None = None) -> Seen | None:
        """Return the last sign of a level, of the outcome `only` or of any but `without`."""
        found = [
            seen
            for seen in self._seen
            if seen.sign.level == level and only in (None, seen.sign.code) and seen.sign.code != without
        ]
        return max(found, key=lambda seen: seen.order, default=None)

    def fatal(self, level: str) -> list[Seen]:
        """Return the signs of a level, in order, that the training did not survive: in their file it did not go on."""
        found = [seen for seen in self._seen if seen.sign.level == level]
        return sorted(
            (seen for seen in found if seen.order > self._progress.get(seen.file, 0)), key=lambda seen: seen.order
        )

    def went_well(self) -> bool:
        """Tell whether something was trained and the scheduler is content."""
        return bool(self._progress) and self.last("success") is not None

    def last_fatal(self, level: str) -> Seen | None:
        """Return the last of `fatal`."""
        return next(reversed(self.fatal(level)), None)


def _ended_by_scheduler(signs: Signs, finished: bool) -> Seen | None:
    """Return the scheduler's own reason: time, memory, preemption, a node."""
    found = signs.last("scheduler", without="cancelled")
    if found and found.sign.code == "oom_host" and finished and signs.last("success"):
        return None  # a helper was killed, the program came to its end
    return found


def _error_or_cancellation(signs: Signs) -> Seen | None:
    """Return the error that ended the program, else the cancellation that did."""
    error = signs.last_fatal("application")
    if not error and not signs.went_well():
        error = signs.last_fatal("signal")
    cancel = signs.last("scheduler", only="cancelled")
    if not cancel:
        cancel = signs.last("epilogue")
        cancel = cancel and (signs.last("limit") or cancel)
    if error and cancel:
        told_while_ending = cancel.file == error.file and cancel.order < error.order
        return cancel if told_while_ending or error.sign.code == "cancelled" else error
    return error or cancel


def _follow_up(signs: Signs, finished: bool) -> Seen | None:
    """Return what only follows from an error: the first of it, which is nearest to the error that the log lacks."""
    found = next(iter(signs.fatal("consequence")), None)
    if found and finished and signs.last("success"):
        found = None
    return found or signs.last("step")


def _finished(row: Row, story: Story, signs: Signs) -> bool:
    """Tell whether the training did all that was asked of it."""
    training = story.training
    success = signs.last("success")
    early = success is not None and "early stopping" in success.sign.cause
    if row.epochs_planned is not None and row.epochs_done is not None:
        return row.epochs_done >= row.epochs_planned or early
    if early or training.steps_done or training.went_on:
        return True
    if row.epochs_done is None and row.loss is None:
        return False
    tested = bool(training.tested) and row.epochs_done is not None and row.epochs_planned is None
    return tested or signs.last("word") is not None


def _set(row: Row, code: str, evidence: Evidence | None, cause: str | None = None) -> None:
    row.outcome = code
    row.cause = None if code == "completed" else cause
    row.evidence = evidence
    row.next_step = NEXT.get(code)


def _without_reason(row: Row, story: Story, signs: Signs, finished: bool) -> None:
    """Judge a run whose logs hold no reason for its end."""
    success, word = signs.last("success"), signs.last("word")
    stall, weak = signs.last_fatal("stall"), signs.last_fatal("weak")
    inside = story.training.stopped_inside
    planned = row.epochs_planned is not None and row.epochs_done is not None
    if success and (finished or not planned or not inside):
        _set(row, "completed", success.evidence)
    elif finished and not inside:
        _set(row, "completed", word.evidence if word else story.latest)
    elif stall:
        _set(row, "crash", stall.evidence, stall.sign.cause)
    elif planned or inside:
        _set(row, "incomplete", story.latest, STOPPED)
    elif row.partial:
        _set(row, "incomplete", story.latest, f"the log stops at {row.partial}, and nothing in it says why")
    elif word or story.training.tested:
        _set(row, "completed", word.evidence if word else story.latest)
    elif weak and story.lines.get(weak.file, 0) - (weak.evidence.line or 0) <= NEAR_THE_END:
        _set(row, weak.sign.code, weak.evidence, weak.sign.cause)
    elif story.latest:
        _set(row, "unknown", story.latest, "the log stops, and does not say how much was planned")
    else:
        _set(row, "unknown", None, "the log tells neither a result nor a reason for its end")
