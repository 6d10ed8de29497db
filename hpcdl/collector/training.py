"""From events to what a training reached: epochs, the last and the best of them, the test after them, throughput."""

import math
from array import array
from dataclasses import dataclass, field

from hpcdl.collector.events import EpochEnd, EpochStart, Event, FullBar, Listed, Progress, Rate, Tested, Values


@dataclass(slots=True)
class Epoch:
    """A complete epoch."""

    number: int
    """As the log counts, from 0 or from 1."""
    values: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None


class Training:
    """Follows a run's events in order; result.fill writes what they came to into a row.

    Lines of several ranks are the same events again: an epoch that is already complete is not counted twice.
    """

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        """The complete epochs of the fit that runs."""
        self.planned: int | None = None
        self.fits = 0
        self.from_zero = False
        """The dialect counts epochs from 0."""
        self.has_headers = False
        self.open: int | None = None
        """The epoch that has begun and not ended; then what is known of it."""
        self.open_values: dict[str, float] = {}
        self.point: Progress | None = None
        self.went_on = False
        """A test came while the last epoch had no end: lines are missing, the program went on."""
        self.step: Progress | None = None
        """The last point of a training that counts no epochs; then the last value of every measure."""
        self.step_values: dict[str, float] = {}
        self.steps_done = False
        self.tested: dict[str, float] = {}
        self.loose: dict[str, float] = {}
        """Values that belong to no epoch."""
        self.rates = array("d")
        """Images per second of all ranks together; then of single ranks, and the total that a benchmark states."""
        self.rank_rates = array("d")
        self.total: float | None = None
        self._headers = 0
        self._always: set[str] | None = None
        self._bar: dict[str, float] = {}
        self._bar_steps: int | None = None
        self._highest: dict[str, float] = {}

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
                self.total = event.per_s
            elif math.isfinite(event.per_s):
                (self.rates if event.ranks else self.rank_rates).append(event.per_s)
        else:
            return False
        return True

    @property
    def last(self) -> Epoch | None:
        """The last complete epoch of the fit that runs."""
        return self.epochs[-1] if self.epochs else None

    def highest(self, name: str) -> float:
        """Return the highest finite value of a measure over the epochs, -inf without one; ask at the end of the log."""
        if name not in self._highest:  # asked for every epoch
            values = [epoch.values[name] for epoch in self.epochs if math.isfinite(epoch.values.get(name, math.nan))]
            self._highest[name] = max(values, default=-math.inf)
        return self._highest[name]

    @property
    def stopped_inside(self) -> bool:
        """True where the log ends inside an epoch."""
        return self.open is not None and not self.went_on

    def _start(self, epoch: int, epochs: int | None) -> None:
        self.has_headers = True
        if epoch == self.open:
            self._headers += 1
            return
        if self.open is not None and epoch > self.open:
            self._complete(self.open, self.open_values, None)
        elif self.last and epoch <= self.last.number:
            if epoch > self.epochs[0].number or (epoch == self.last.number and epochs != 1):
                return  # a late line of another rank
            self._new_fit()
        elif self.open is not None:
            self._new_fit()
        self.fits = self.fits or 1
        self.planned = epochs or self.planned
        self.open, self._headers, self.open_values, self.point = epoch, 1, {}, None
        self.went_on = False

    def _new_fit(self) -> None:
        self.fits += 1
        self.epochs, self.open, self.point, self._always = [], None, None, None

    def _complete(self, number: int, values: dict[str, float], seconds: float | None) -> None:
        self.fits = self.fits or 1
        if self.last and self.last.number == number:
            self.last.values.update(values)
            self.last.seconds = self.last.seconds if seconds is None else seconds
        else:
            self.epochs.append(Epoch(number, dict(values), seconds))
            if values:
                self._always = set(values) if self._always is None else self._always & set(values)
        if self.open is not None and self.open <= number:
            self._headers -= 1
            if self._headers <= 0 or self.open < number:
                self.open = None
        self.open_values, self.point = {}, None

    def _end(self, event: EpochEnd) -> None:
        self.planned = event.epochs or self.planned
        self.from_zero = self.from_zero or event.from_zero
        number = event.epoch
        if number is None:
            number = self.open if self.open is not None else (self.last.number + 1 if self.last else 1)
        elif self.last and number < self.last.number:
            if number > self.epochs[0].number:
                return  # a late line of another rank
            self._new_fit()
        values = event.values
        if number == self.open:
            point = self.point.values if self.point and self.point.epoch is not None else {}
            values = {**point, **self.open_values, **event.values}
        self._complete(number, values, event.seconds)

    def _full_bar(self, bar: FullBar) -> None:
        last = self.last
        total = self.point.steps if self.point else None
        if self.open is not None and bar.steps and total and bar.steps != total:
            self.went_on = True
            self.tested.update(bar.values)
        elif self.open is not None:
            self._bar_steps = bar.steps
            self._complete(self.open, {**self.open_values, **bar.values}, bar.seconds)
        elif last and bar.steps == self._bar_steps and set(last.values) < set(bar.values):
            last.values.update(bar.values)  # the same bar, now with the validation
        elif any(name.startswith("val_") for name in bar.values) and not self.has_headers:
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
            if self.open is not None and event.epoch > self.open:
                self._complete(self.open, self.open_values or (self.point.values if self.point else {}), None)
            if self.open is None:
                self.open, self._headers, self.open_values = event.epoch, 1, {}
        elif self.open is None:
            if not self.has_headers:
                self.step_values.update(event.values)
                self.step = event
                self.steps_done = event.steps is not None and event.step is not None and event.step >= event.steps
            return
        elif self.point and self.point.steps and event.steps != self.point.steps:
            return  # the bar of an evaluation
        self.point = event

    def _take(self, values: dict[str, float]) -> bool:
        if self.open is not None:
            self.open_values.update(values)
            return True
        kept = self.last.values if self.last else self.loose
        for name, value in values.items():
            if self.last and name in kept and kept[name] != value:
                self.loose[f"final_{name}"] = value
            else:
                kept[name] = value
        return False

    def _test(self, values: dict[str, float]) -> None:
        if self.open is not None and self.point is not None and self.point.epoch is not None:
            self._complete(self.open, {**self.point.values, **self.open_values}, None)
        self.went_on = self.went_on or self.open is not None
        self.tested.update(values)

    def _refine(self, numbers: list[float]) -> None:
        """Take the exact values of the evaluation whose bar printed them rounded."""
        if len(numbers) == len(self._bar) and all(
            math.isclose(number, value, rel_tol=1e-3, abs_tol=6e-5)
            for number, value in zip(numbers, self._bar.values(), strict=True)
        ):
            self.tested.update(zip(self._bar, numbers, strict=True))

    def close(self) -> None:
        """At the end of the log: an open epoch is complete when it has every number that the ones before it had."""
        if self.open is None or not self.open_values:
            return
        alone = self.point is None and not self.epochs
        if alone or (self._always and self._always <= set(self.open_values)):
            self._complete(self.open, self.open_values, None)
