"""What a training reached, written into a row."""

import math
import statistics
from array import array
from collections.abc import Iterator

from hpcdl.collector.readers.numbers import fraction
from hpcdl.collector.row import Row
from hpcdl.collector.training import Training
from hpcdl.runlog import format_metric

ACCURACIES = ("accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy", "accuracy_1")


def fill(row: Row, training: Training) -> None:
    """Write what the training reached into `row`."""
    training.close()
    row.epochs_planned = training.planned
    last, others = training.last, dict(training.loose)
    if last:
        row.epochs_done = last.number + (training.from_zero or training.epochs[0].number == 0)
        row.epoch_s = last.seconds
        others |= _named(row, training, last.values, "")
        _best(row, training)
    elif training.went_on:
        row.notes.append(f"epoch {training.open} has no end in the log, but a test follows: lines are missing")
    elif training.open is not None:
        known = training.has_headers or training.from_zero
        row.epochs_done = max(training.open - (not training.from_zero), 0) if known else None
    else:
        others = _named(row, training, {**training.loose, **training.step_values}, "")
        if training.step and training.step.step is not None:
            others["step"] = training.step.step
    tested = {name: value for name, value in others.items() if name in ("test_loss", "test_accuracy")}
    tested |= {f"test_{name.removeprefix('test_')}": value for name, value in training.tested.items()}
    others |= _named(row, training, tested, "test_")
    row.partial = _partial(training)
    row.history = list(_history(training))
    if training.fits > 1:
        others["fits"] = training.fits
        row.notes.append(f"{training.fits} fits in this run; the numbers are the last one's")
    row.images_per_s = _throughput(training)
    if training.rank_rates:
        others["images_per_s_per_rank"] = _steady(training.rank_rates)
    row.metrics |= {
        name: value for name, value in others.items() if math.isfinite(value) and getattr(row, name, None) is None
    }


def _named(row: Row, training: Training, values: dict[str, float], prefix: str) -> dict[str, float]:
    """Set the row's own columns from `values`; return the other values."""
    others = dict(values)
    if "test_score" in others and "test_loss" not in others:
        others["test_loss"] = others.pop("test_score")  # Keras's examples call the loss score
    for part in ("", "val_") if not prefix else (prefix,):
        loss = others.pop(f"{part}loss", None)
        if loss is not None and math.isfinite(loss):
            setattr(row, f"{part}loss", loss)
        elif loss is not None:
            row.notes.append(f"{part}loss is {loss}: the training diverged")
        name = next((f"{part}{name}" for name in ACCURACIES if f"{part}{name}" in others), None)
        if name is None:
            continue
        value = others.pop(name)
        known = _fraction(training, name, value)
        if known is not None:
            setattr(row, f"{part}accuracy", known)
        elif math.isfinite(value):
            others[f"{part}accuracy_as_printed"] = value
            row.notes.append(f"{name} is {value}, which is no accuracy between 0 and 1: the label looks wrong")
    return others


def _fraction(training: Training, name: str, value: float) -> float | None:
    """Return an accuracy as a part of 1, None where the number can be none.

    Many print percentages without the sign. Then some of the numbers are above 10; a loss under the wrong label
    hardly ever is.
    """
    top = max(value, training.highest(name))
    if 10 < top <= 100 and value >= 0:
        return fraction(value)
    return value if 0 <= value <= 1 else None


def _history(training: Training) -> Iterator[dict[str, float]]:
    """Yield the complete epochs under the table's names; what can be no accuracy is left out."""
    names = {name for epoch in training.epochs for name in epoch.values}
    accuracies = {name for name in names if name.removeprefix("val_") in ACCURACIES}
    tops = {name: max(epoch.values.get(name, 0) for epoch in training.epochs) for name in accuracies}
    for epoch in training.epochs:
        values = {} if epoch.seconds is None else {"epoch_s": epoch.seconds}
        for name, value in epoch.values.items():
            if name in accuracies:
                value = fraction(value) if 10 < tops[name] <= 100 else value
                if 0 <= value <= 1:
                    values.setdefault("val_accuracy" if name.startswith("val_") else "accuracy", value)
            elif math.isfinite(value):
                values[name] = value
        yield {"epoch": epoch.number, **values}


def _best(row: Row, training: Training) -> None:
    name = next((f"val_{name}" for name in ACCURACIES if training.last and f"val_{name}" in training.last.values), None)
    if name is None:
        row.best_val_accuracy = _fraction(
            training, "best_val_accuracy", training.loose.get("best_val_accuracy", math.nan)
        )
        return
    values = [
        (_fraction(training, name, epoch.values[name]), epoch) for epoch in training.epochs if name in epoch.values
    ]
    known = [(value, epoch.number) for value, epoch in values if value is not None]
    if known:
        row.best_val_accuracy, row.best_epoch = max(known, key=lambda pair: pair[0])


def _partial(training: Training) -> str | None:
    point = training.point
    if training.went_on:
        return None
    if training.open is None:
        step = training.step
        if training.last or not step or step.step is None or step.steps is None or training.steps_done:
            return None
        return f"step {step.step:g} of {step.steps:g}" + _told(step.values)
    if point is None or point.step is None:
        return f"epoch {training.open}" + _told(point.values if point else training.open_values)
    place = f"{point.step:g}" if point.steps is None else f"{point.step:g}/{point.steps:g}"
    return f"epoch {training.open} at {place}" + _told(point.values)


def _throughput(training: Training) -> float | None:
    if training.total is not None:
        return training.total
    return _steady(training.rates) if training.rates else None


def _steady(rates: array) -> float:
    """Return the median without the first and the last, which hold the start and the end of a run."""
    return statistics.median(rates[1:-1] if len(rates) > 2 else rates)


def _told(values: dict[str, float]) -> str:
    return "".join(f", {name} {format_metric(value)}" for name, value in list(values.items())[:4])
