"""A user's own log lines: a few lines of YAML with regular expressions, as JUBE's users write them.

```yaml
name: my_solver
lines:
  - match: 'sweep (?P<epoch>\\d+) of (?P<epochs>\\d+): residual (?P<loss>\\S+) in (?P<epoch_s>\\S+) min'
    units: {epoch_s: min}
  - match: 'edit took (?P<edit_s>\\S+)'
    keep: median
  - match: 'solver diverged'
    outcome: crash
```
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import regex
from pydantic import Field, field_validator, model_validator

from hpcdl import yamlfile
from hpcdl.collector.events import EpochEnd, Event, Fact, Progress, Rate, Sign, Tested
from hpcdl.collector.readers import Reader
from hpcdl.collector.row import OUTCOMES
from hpcdl.errors import CollectError
from hpcdl.yamlfile import Section

TIMEOUT_S = 0.5
"""A pattern that takes longer on one line is set aside: (a+)+b on a long line would not end in a lifetime."""
LONGEST = 10_000
"""Characters of a line that are searched."""

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0, "%": 1e-2, "k": 1e3, "M": 1e6}
REDUCERS: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda numbers: numbers[-1],
    "first": lambda numbers: numbers[0],
    "min": min,
    "max": max,
    "sum": math.fsum,
    "count": len,
    "mean": statistics.fmean,
    "median": statistics.median,
}
PLACES = ("epoch", "epochs", "step", "steps", "epoch_s", "images_per_s")


class Line(Section):
    """One kind of line."""

    match: str
    """A regular expression that is searched in a line. Groups named epoch, epochs, step, steps, epoch_s, images_per_s
    mean those; groups that begin with test_ are results of the test; every other group is a metric of that name."""
    units: dict[str, Literal["s", "ms", "us", "min", "h", "%", "k", "M"]] = Field(default={})
    """The unit in which the log writes a group; the table has seconds and fractions of 1."""
    keep: Literal["last", "first", "min", "max", "sum", "count", "mean", "median"] = "last"
    """Which of several numbers stands in the table, for groups outside epochs and steps."""
    outcome: str | None = None
    """The line tells the outcome: one of the collector's."""

    @field_validator("match")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            regex.compile(text)
        except regex.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}.") from None
        return text

    @field_validator("outcome")
    @classmethod
    def _known(cls, outcome: str | None) -> str | None:
        if outcome is not None and outcome not in OUTCOMES:
            raise ValueError(f"{outcome!r} is no outcome; allowed: {', '.join(OUTCOMES)}.")
        return outcome

    @model_validator(mode="after")
    def _units_of_groups(self) -> "Line":
        groups = regex.compile(self.match).groupindex
        for name in self.units:
            if name not in groups:
                raise ValueError(f"units: no group '{name}' in {self.match!r}.")
        if not groups and self.outcome is None:
            raise ValueError(f"{self.match!r} has no named group, such as (?P<loss>\\S+), and no outcome is given.")
        return self


class Dialect(Section):
    """A dialect's file."""

    name: str
    lines: Annotated[list[Line], Field(min_length=1)]


def load_dialects(paths: Iterable[Path | str], warn: Callable[[str], None]) -> Callable[[], list[Reader]]:
    """Read dialects; return the function that makes their readers, fresh for each file.

    Raises:
        CollectError: a file is wrong: file, line, key, what came, what is allowed.
    """
    dialects = [yamlfile.load(path, Dialect, CollectError) for path in paths]
    slow: set[str] = set()
    return lambda: [reader(dialect, warn, slow) for dialect in dialects]


def reader(dialect: Dialect, warn: Callable[[str], None], slow: set[str]) -> Reader:
    """Return a reader of the dialect for one file; a pattern that proves slow goes into `slow`, not tried again."""
    patterns = [(line, regex.compile(line.match)) for line in dialect.lines]
    kept: list[defaultdict[str, list[float]]] = [defaultdict(list) for _ in patterns]

    def read(text: str) -> list[Event]:
        for index, (line, pattern) in enumerate(patterns):
            if line.match in slow:
                continue
            try:
                match = pattern.search(text[:LONGEST], timeout=TIMEOUT_S)
            except TimeoutError:
                slow.add(line.match)
                warn(f"dialect {dialect.name}: {line.match!r} took over {TIMEOUT_S:g} s on one line; set aside")
                continue
            if match:
                numbers = {
                    name: value for name, text in match.groupdict().items() if (value := _number(text)) is not None
                }
                numbers = {name: value * UNITS[line.units.get(name, "s")] for name, value in numbers.items()}
                return _events(line, numbers, text, kept[index])
        return []

    return dialect.name, ("",), read


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").replace(",", ""))
    except ValueError:
        return None


def _events(line: Line, numbers: dict[str, float], text: str, kept: dict[str, list[float]]) -> list[Event]:
    events: list[Event] = []
    place = {name: numbers.pop(name) for name in PLACES if name in numbers}
    whole = {name: int(place[name]) for name in PLACES[:4] if name in place and math.isfinite(place[name])}
    if "images_per_s" in place:
        events.append(Rate(place["images_per_s"], ranks=True))
    if tested := {name.removeprefix("test_"): numbers.pop(name) for name in list(numbers) if name.startswith("test_")}:
        events.append(Tested(tested))
    if "step" in whole:
        events.append(Progress(numbers, whole["step"], whole.get("steps"), whole.get("epoch"), whole.get("epochs")))
    elif "epoch" in whole:
        events.append(EpochEnd(numbers, whole["epoch"], whole.get("epochs"), place.get("epoch_s")))
    else:
        for name, number in numbers.items():
            kept[name].append(number)
            events.append(Fact(name, REDUCERS[line.keep](kept[name])))
    if line.outcome:
        level = "success" if line.outcome == "completed" else "application"
        events.append(Sign(line.outcome, level, text.strip()[:300]))
    return events
