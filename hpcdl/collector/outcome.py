"""Why a run ended: its signs weighed.

The order is one of causes, not of keywords:
1. the scheduler ended it for a reason of its own: time, memory, preemption, a node;
2. an error of the program, unless the training went on after it; the last one, since what follows from it is known
   and set aside (a launcher that noticed, ranks that lost their peer);
3. someone cancelled it;
4. what only follows from an error that is not in the log: exit codes, tasks that were ended;
5. no reason: then it is completed where something shows that the work was done, else incomplete or unknown.
"""

from hpcdl.collector.row import Row
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


def judge(row: Row, story: Story) -> None:
    """Set the row's outcome, cause, evidence and next step from the story's signs; `row` has its training's numbers."""
    signs = list(story.signs.values())
    finished = _finished(row, story)
    scheduler = _last(signs, "scheduler", without="cancelled")
    fatal = [seen for seen in signs if _is_fatal(seen, story)]
    error = _last(fatal, "application")
    if not (_succeeded(signs) and story.progress):
        error = error or _last(fatal, "signal")  # of a helper, where the job went well
    cancel = _last(signs, "scheduler", only="cancelled") or _last(signs, "epilogue")
    if cancel and cancel.sign.level == "epilogue":
        cancel = _last(signs, "limit") or cancel
    if error and cancel and cancel.file == error.file and cancel.order < error.order:
        error = None  # what a program prints while it is being ended
    if error and cancel and error.sign.code == "cancelled":
        error = None
    chosen = scheduler or error or cancel or _consequence(signs, story) or _last(signs, "step")
    if (
        chosen
        and chosen.sign.level == "scheduler"
        and chosen.sign.code == "oom_host"
        and finished
        and _succeeded(signs)
    ):
        chosen = None  # a helper was killed, the program went on to its end
    if chosen and chosen.sign.level == "consequence" and chosen.sign.code == "crash" and finished and _succeeded(signs):
        chosen = None
    if chosen:
        code = chosen.sign.code
        if (
            code in ("crash", "oom_gpu", "oom_host", "disk_full", "module_error")
            and finished
            and chosen.sign.level != "scheduler"
        ):
            code = "crash_after_training"
        who = _last(signs, "epilogue", only="cancelled")
        known = who and code == "cancelled" and who is not chosen
        _set(row, code, chosen, f"{chosen.sign.cause} ({who.sign.cause})" if known and who else None)
        return
    _without_reason(row, story, signs, finished)


def _last(signs: list[Seen], level: str, only: str | None = None, without: str | None = None) -> Seen | None:
    found = [
        seen
        for seen in signs
        if seen.sign.level == level and (only is None or seen.sign.code == only) and seen.sign.code != without
    ]
    return max(found, key=lambda seen: seen.order, default=None)


def _is_fatal(seen: Seen, story: Story) -> bool:
    """An error is not what ended the run when its training went on after it."""
    return seen.order > story.progress.get(seen.file, 0)


def _consequence(signs: list[Seen], story: Story) -> Seen | None:
    found = [seen for seen in signs if seen.sign.level == "consequence" and _is_fatal(seen, story)]
    return min(found, key=lambda seen: seen.order, default=None)


def _succeeded(signs: list[Seen]) -> bool:
    return any(seen.sign.level == "success" for seen in signs)


def _finished(row: Row, story: Story) -> bool:
    """Tell whether the training did all that was asked of it."""
    early = any(seen.sign.level == "success" and "early stopping" in seen.sign.cause for seen in story.signs.values())
    if row.epochs_planned is not None and row.epochs_done is not None:
        return row.epochs_done >= row.epochs_planned or early
    if early or story.training.steps_done or story.training.went_on:
        return True
    trained = bool(story.training.epochs) or row.loss is not None
    words = any(seen.sign.level == "word" for seen in story.signs.values())
    return trained and (
        words or (row.epochs_done is not None and bool(story.training.tested) and row.epochs_planned is None)
    )


def _set(row: Row, code: str, seen: Seen, cause: str | None = None) -> None:
    row.outcome = code
    row.cause = cause or (None if code == "completed" else seen.sign.cause)
    row.evidence = seen.evidence
    row.next_step = NEXT.get(code)


def _without_reason(row: Row, story: Story, signs: list[Seen], finished: bool) -> None:
    """Judge a run whose logs hold no reason for its end."""
    success, word = _last(signs, "success"), _last(signs, "word")
    weak = _last([seen for seen in signs if _is_fatal(seen, story)], "weak")
    known = row.epochs_planned is not None and row.epochs_done is not None
    stall = _last([seen for seen in signs if _is_fatal(seen, story)], "stall")
    if success and (finished or not known or "early" in success.sign.cause or not story.training.stopped_inside):
        _set(row, "completed", success)
    elif finished and not story.training.stopped_inside:
        row.outcome = "completed"
        row.evidence = (word or success or None) and (word or success).evidence  # type: ignore[union-attr]
    elif stall:
        _set(row, "crash", stall)
    elif known or story.training.stopped_inside:
        row.outcome, row.cause = "incomplete", "the log stops before the training was done, and nothing in it says why"
        row.next_step = NEXT["incomplete"]
    elif row.partial:
        row.outcome, row.cause = "incomplete", f"the log stops at {row.partial}, and nothing in it says why"
        row.next_step = NEXT["incomplete"]
    elif word or story.training.tested:
        if word:
            _set(row, "completed", word)
        else:
            row.outcome = "completed"
    elif weak and story.lines.get(weak.file, 0) - (weak.evidence.line or 0) <= 20:
        _set(row, weak.sign.code, weak)
    else:
        row.cause = "the log tells neither a result nor a reason for its end"
