"""The epochs of a run, one by one."""

from collections.abc import Iterable, Mapping
from typing import Any

from hpcdl.collector.metrics import number

EPOCH_COLUMNS: dict[str, str] = {
    "epoch": "int: the epoch, as the log counts",
    "epoch_s": "float, s: its duration",
    "images_per_s": "float, images/s: throughput of all ranks together",
    "learning_rate": "float: learning rate at its end",
    "loss": "float: training loss",
    "accuracy": "float, 0..1: training accuracy",
    "val_loss": "float: validation loss",
    "val_accuracy": "float, 0..1: validation accuracy",
}
"""The columns of an epoch: type, unit, meaning. Any other number follows as `metric.NAME`."""


def of_events(epochs: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Return the history that the `epoch` events of metrics.jsonl tell."""
    return [{name: event[name] for name in EPOCH_COLUMNS if number(event.get(name)) is not None} for event in epochs]
