"""What the events of metrics.jsonl tell of a run of hpcdl's own. They may come from anywhere: no value is sure."""

import math
import statistics
from typing import Any

from hpcdl import runlog
from hpcdl.collector.row import Row

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")

Events = list[dict[str, Any]]
"""As runlog.read_events returns them: each has its kind under `event`."""


def fill(row: Row, events: Events) -> None:
    """Write what the run reached into its row."""
    start, end, test = (last(last_part(events), kind) for kind in ("run_start", "run_end", "test"))
    done = complete_epochs(events)
    row.ranks = row.ranks if row.ranks is not None else integer(start.get("ranks"))
    row.epochs_planned = integer(start.get("epochs"))
    row.test_loss, row.test_accuracy = number(test.get("test_loss")), number(test.get("test_accuracy"))
    row.metrics |= _others(test, [f"test_{name}" for name in runlog.METRICS if name not in ("loss", "accuracy")])
    row.time_s = row.time_s if row.time_s is not None else number(end.get("time_s"))
    row.images_per_s = number(end.get("images_per_s"))
    for name in ("train_s", "images_per_s_std", "images_per_s_n", "images_per_s_per_rank"):
        if (value := number(end.get(name))) is not None:
            row.metrics[name] = value
    if start:
        row.epochs_done = 0
    if done:
        _fill_epochs(row, done)
    progress = last(last_part(events), "progress")
    if not end and (number(progress.get("epoch")) or 0) > (row.epochs_done or 0):
        loss = number(progress.get("loss"))
        row.partial = f"epoch {progress['epoch']} at step {progress.get('step')}" + (
            "" if loss is None else f", loss {runlog.format_metric(loss)}"
        )


def _fill_epochs(row: Row, done: Events) -> None:
    final = done[-1]
    row.epochs_done = integer(final["epoch"])
    row.epochs_planned = row.epochs_planned or integer(final.get("epochs"))
    row.epoch_s = number(final.get("epoch_s"))
    for name in EPOCH_METRICS:
        setattr(row, name, number(final.get(name)))
    measured = [f"{part}{name}" for part in ("", "val_") for name in runlog.METRICS]
    row.metrics |= _others(final, [name for name in measured if name not in EPOCH_METRICS])
    validated = [event for event in done if number(event.get("val_accuracy")) is not None]
    if validated:
        best = max(validated, key=lambda event: event["val_accuracy"])
        row.best_val_accuracy, row.best_epoch = best["val_accuracy"], integer(best["epoch"])
    if row.images_per_s is None:
        # The first epoch holds the compilation: it counts only when there is no other.
        rates = [rate for event in done[1:] or done if (rate := number(event.get("images_per_s"))) is not None]
        row.images_per_s = statistics.median(rates) if rates else None


def _others(event: dict[str, Any], names: list[str]) -> dict[str, float]:
    """Return those of the metrics that an event has and that have no column of their own."""
    return {name: value for name in names if (value := number(event.get(name))) is not None}


def last_part(events: Events) -> Events:
    """Return the events of the last part of a run that was continued: each part begins with a run_start."""
    starts = [index for index, event in enumerate(events) if event["event"] == "run_start"]
    return events[starts[-1] :] if starts else events


def complete_epochs(events: Events) -> Events:
    """Return the epochs in order; in a run that was continued a later one replaces that of the same number."""
    epochs: dict[Any, dict[str, Any]] = {}
    for event in events:
        if event["event"] == "epoch" and number(event.get("epoch")) is not None:
            epochs.pop(event["epoch"], None)
            epochs[event["epoch"]] = event
    return list(epochs.values())


def last(events: Events, kind: str) -> dict[str, Any]:
    """Return the last event of a kind; an empty one where there is none."""
    return next((event for event in reversed(events) if event["event"] == kind), {})


def number(value: Any) -> float | None:
    """Return a finite number as it is, None for anything else."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if good else None


def integer(value: Any) -> int | None:
    """Return a finite number as an integer, None for anything else."""
    return int(value) if number(value) is not None else None
