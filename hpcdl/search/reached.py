"""What an individual reached, from the folder of its run."""

from pathlib import Path

from hpcdl import runlog
from hpcdl.collector.metrics import EPOCH_METRICS
from hpcdl.collector.row import Row
from hpcdl.collector.runfolder import read_run_folder
from hpcdl.search.individual import Result, State


def reached(folder: Path, metric: str, state: State, reason: str | None, hours: float, run: str) -> Result:
    """Return the result of an individual whose run has ended.

    Args:
        folder: the run's.
        metric: the objective's.
        state: how the run ended; one that was stopped before it completed an epoch, or measured no such metric, failed.
        reason: why, where it did not complete.
        hours: what it cost.
        run: the folder as the record shall name it.
    """
    row = read_run_folder(folder, lambda text: None)
    fitness = _measured(row, metric)
    if state == "stopped" and not row.epochs_done:
        state, reason = "failed", f"{reason or 'stopped'}, before its first epoch was complete"
    elif state != "failed" and fitness is None:
        state, reason = "failed", f"it measured no {metric}"
    return Result(
        state=state,
        fitness=None if state == "failed" else fitness,
        reason=reason,
        hours=hours,
        epochs=row.epochs_done,
        test_accuracy=row.test_accuracy,
        run=run,
    )


def _measured(row: Row, metric: str) -> float | None:
    assert metric.removeprefix("val_") in runlog.METRICS
    value: float | None = getattr(row, metric) if metric in EPOCH_METRICS else row.metrics.get(metric)
    return value
