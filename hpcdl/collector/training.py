"""From events to what a training reached: epochs, the last and the best of them, the test after them, throughput."""

import math
import statistics
from array import array
from dataclasses import dataclass, field

from hpcdl.collector.events import EpochEnd, EpochStart, Event, FullBar, Listed, Progress, Rate, Tested, Values
from hpcdl.collector.readers.numbers import fraction
from hpcdl.collector.row import Row
from hpcdl.runlog import format_metric

ACCURACIES = ("accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy", "accuracy_1")


@dataclass
class Epoch:
    """A complete epoch."""

    number: int
    """As the log counts, from 0 or from 1."""
    values: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None


class Training:
    """Follows a run's events in order; `fill` writes what they came to into a row.

    Lines of several ranks are the same events again: an epoch that is already complete is not counted twice.
    """

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        self.fits = 0
        self.from_zero = False
        self.planned: int | None = None
        self.steps_done = False
        self._open: int | None = None
        self._headers = 0
        self._has_headers = False
        self._open_values: dict[str, float] = {}
        self._always: set[str] | None = None
        self._point: Progress | None = None
        self._step: Progress | None = None
        self._step_values: dict[str, float] = {}
        self._bar: dict[str, float] = {}
        self._bar_steps: int | None = None
        self.went_on = False
        """A test came while the last epoch had no end: lines are missing, the program went on."""
        self.tested: dict[str, float] = {}
        self._loose: dict[str, float] = {}
        self._rates = array("d")
        self._rank_rates = array("d")
        self._total: float | None = None

    def see(self, event: Event) -> bool:
        """Take in an event; tell whether it shows that the training went on."""
        if isinstance(event, EpochStart):
            self._start(event.epoch, event.epochs)
        elif isinstance(event, EpochEnd):
            self._end(event)
        elif isinstance(event, FullBar):
            self._full_bar(event)
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Values):
            return self._take(event.values)
        elif isinstance(event, Tested):
            self._test(event.values)
        elif isinstance(event, Listed):
            self._refine(event.numbers)
        elif isinstance(event, Rate):
            if event.final:
                self._total = event.per_s
            elif math.isfinite(event.per_s):
                (self._rates if event.ranks else self._rank_rates).append(event.per_s)
        else:
            return False
        return True

    @property
    def last(self) -> Epoch | None:
        """The last complete epoch of the fit that runs."""
        return self.epochs[-1] if self.epochs else None

    @property
    def stopped_inside(self) -> bool:
        """True where the log ends inside an epoch."""
        return self._open is not None and not self.went_on

    def _start(self, epoch: int, epochs: int | None) -> None:
        self._has_headers = True
        if epoch == self._open:
            self._headers += 1
            return
        if self._open is not None and epoch > self._open:
            self._complete(self._open, self._open_values, None)
        elif self.last and epoch <= self.last.number:
            if epoch > self.epochs[0].number or (epoch == self.last.number and epochs != 1):
                return  # a late line of another rank
            self._new_fit()
        elif self._open is not None:
            self._new_fit()
        self.fits = self.fits or 1
        self.planned = epochs or self.planned
        self._open, self._headers, self._open_values, self._point = epoch, 1, {}, None
        self.went_on = False

    def _new_fit(self) -> None:
        self.fits += 1
        self.epochs, self._open, self._point, self._always = [], None, None, None

    def _complete(self, number: int, values: dict[str, float], seconds: float | None) -> None:
        self.fits = self.fits or 1
        if self.last and self.last.number == number:
            self.last.values.update(values)
            self.last.seconds = self.last.seconds if seconds is None else seconds
        else:
            self.epochs.append(Epoch(number, dict(values), seconds))
            if values:
                self._always = set(values) if self._always is None else self._always & set(values)
        if self._open is not None and self._open <= number:
            self._headers -= 1
            if self._headers <= 0 or self._open < number:
                self._open = None
        self._open_values, self._point = {}, None

    def _end(self, event: EpochEnd) -> None:
        self.planned = event.epochs or self.planned
        self.from_zero = self.from_zero or event.from_zero
        number = event.epoch
        if number is None:
            number = self._open if self._open is not None else (self.last.number + 1 if self.last else 1)
        elif self.last and number < self.last.number:
            if number > self.epochs[0].number:
                return  # a late line of another rank
            self._new_fit()
        values = {**self._open_values, **event.values} if number == self._open else event.values
        self._complete(number, values, event.seconds)

    def _full_bar(self, bar: FullBar) -> None:
        last = self.last
        total = self._point.steps if self._point else None
        if self._open is not None and bar.steps and total and bar.steps != total:
            self.went_on = True
            self.tested.update(bar.values)
        elif self._open is not None:
            self._bar_steps = bar.steps
            self._complete(self._open, {**self._open_values, **bar.values}, bar.seconds)
        elif last and bar.steps == self._bar_steps and set(last.values) < set(bar.values):
            last.values.update(bar.values)  # the same bar, now with the validation
        elif any(name.startswith("val_") for name in bar.values) and not self._has_headers:
            self._bar_steps = bar.steps
            self._complete(last.number + 1 if last else 1, bar.values, bar.seconds)
        elif not (last and any(name.startswith("val_") for name in bar.values)):
            self._bar = {name: value for name, value in bar.values.items() if not name.startswith("ms_per")}
            self.tested.update(self._bar)

    def _progress(self, event: Progress) -> None:
        if event.epoch is not None:
            self.planned = event.epochs or self.planned
            self.from_zero = self.from_zero or event.from_zero
            if self.last and event.epoch <= self.last.number:
                if event.epoch > self.epochs[0].number or event.epoch == self.last.number:
                    return
                self._new_fit()
            if self._open is not None and event.epoch > self._open:
                self._complete(self._open, self._open_values or (self._point.values if self._point else {}), None)
            if self._open is None:
                self._open, self._headers, self._open_values = event.epoch, 1, {}
        elif self._open is None:
            if not self._has_headers:
                self._step_values.update(event.values)
                self._step = event
                self.steps_done = event.steps is not None and event.step is not None and event.step >= event.steps
            return
        elif self._point and self._point.steps and event.steps != self._point.steps:
            return  # the bar of an evaluation
        self._point = event

    def _take(self, values: dict[str, float]) -> bool:
        if self._open is not None:
            self._open_values.update(values)
            return True
        kept = self.last.values if self.last else self._loose
        for name, value in values.items():
            if self.last and name in kept and kept[name] != value:
                self._loose[f"final_{name}"] = value
            else:
                kept[name] = value
        return False

    def _test(self, values: dict[str, float]) -> None:
        if self._open is not None and self._point is not None and self._point.epoch is not None:
            self._complete(self._open, {**self._point.values, **self._open_values}, None)
        self.went_on = self.went_on or self._open is not None
        self.tested.update(values)

    def _refine(self, numbers: list[float]) -> None:
        """Take the exact values of the evaluation whose bar printed them rounded."""
        if len(numbers) == len(self._bar) and all(
            math.isclose(number, value, rel_tol=1e-3, abs_tol=6e-5)
            for number, value in zip(numbers, self._bar.values(), strict=True)
        ):
            self.tested.update(zip(self._bar, numbers, strict=True))

    def _close(self) -> None:
        """At the end of the log: an open epoch is complete when it has every number that the ones before it had."""
        if self._open is None or not self._open_values:
            return
        alone = self._point is None and not self.epochs
        if alone or (self._always and self._always <= set(self._open_values)):
            self._complete(self._open, self._open_values, None)

    def fill(self, row: Row) -> None:
        """Write what the training reached into `row`."""
        self._close()
        row.epochs_planned = self.planned
        last, others = self.last, dict(self._loose)
        if last:
            row.epochs_done = last.number + (self.from_zero or self.epochs[0].number == 0)
            row.epoch_s = last.seconds
            others |= self._named(row, last.values, "")
            self._best(row)
        elif self.went_on:
            row.notes.append(f"epoch {self._open} has no end in the log, but a test follows: lines are missing")
        elif self._open is not None:
            known = self._has_headers or self.from_zero
            row.epochs_done = max(self._open - (not self.from_zero), 0) if known else None
        else:
            others = self._named(row, {**self._loose, **self._step_values}, "")
            if self._step and self._step.step is not None:
                others["step"] = self._step.step
        tested = {name: value for name, value in others.items() if name in ("test_loss", "test_accuracy")}
        tested |= {f"test_{name.removeprefix('test_')}": value for name, value in self.tested.items()}
        others |= self._named(row, tested, "test_")
        row.partial = self._partial()
        if self.fits > 1:
            others["fits"] = self.fits
            row.notes.append(f"{self.fits} fits in this run; the numbers are the last one's")
        row.images_per_s = self._throughput()
        if self._rank_rates:
            others["images_per_s_per_rank"] = _steady(self._rank_rates)
        row.metrics |= {
            name: value for name, value in others.items() if math.isfinite(value) and getattr(row, name, None) is None
        }

    def _named(self, row: Row, values: dict[str, float], prefix: str) -> dict[str, float]:
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
            known = self._fraction(name, value)
            if known is not None:
                setattr(row, f"{part}accuracy", known)
            elif math.isfinite(value):
                others[f"{part}accuracy_as_printed"] = value
                row.notes.append(f"{name} is {value}, which is no accuracy between 0 and 1: the label looks wrong")
        return others

    def _fraction(self, name: str, value: float) -> float | None:
        """Return an accuracy as a part of 1, None where the number can be none.

        Many print percentages without the sign. Then some of the numbers are above 10; a loss under the wrong label
        hardly ever is.
        """
        values = [epoch.values[name] for epoch in self.epochs if math.isfinite(epoch.values.get(name, math.nan))]
        top = max([value, *values])
        if 10 < top <= 100 and value >= 0:
            return fraction(value)
        return value if 0 <= value <= 1 else None

    def _best(self, row: Row) -> None:
        name = next((f"val_{name}" for name in ACCURACIES if self.last and f"val_{name}" in self.last.values), None)
        if name is None:
            row.best_val_accuracy = self._fraction("best_val_accuracy", self._loose.get("best_val_accuracy", math.nan))
            return
        values = [(self._fraction(name, epoch.values[name]), epoch) for epoch in self.epochs if name in epoch.values]
        known = [(value, epoch.number) for value, epoch in values if value is not None]
        if known:
            row.best_val_accuracy, row.best_epoch = max(known, key=lambda pair: pair[0])

    def _partial(self) -> str | None:
        point = self._point
        if self.went_on:
            return None
        if self._open is None:
            step = self._step
            if self.last or not step or step.step is None or step.steps is None or self.steps_done:
                return None
            return f"step {step.step:g} of {step.steps:g}" + _told(step.values)
        if point is None or point.step is None:
            return f"epoch {self._open}" + _told(point.values if point else self._open_values)
        place = f"{point.step:g}" if point.steps is None else f"{point.step:g}/{point.steps:g}"
        return f"epoch {self._open} at {place}" + _told(point.values)

    def _throughput(self) -> float | None:
        if self._total is not None:
            return self._total
        return _steady(self._rates) if self._rates else None


def _steady(rates: array) -> float:
    """Return the median without the first and the last, which hold the start and the end of a run."""
    return statistics.median(rates[1:-1] if len(rates) > 2 else rates)


def _told(values: dict[str, float]) -> str:
    return "".join(f", {name} {format_metric(value)}" for name, value in list(values.items())[:4])
