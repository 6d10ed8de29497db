"""Keras of every generation, 1.x to 3: headers, bars (verbose=1), lines (verbose=2), what its callbacks say."""

import re

from hpcdl.collector.events import EpochStart, Event, Fact, FullBar, Progress, Sign
from hpcdl.collector.readers.numbers import NUMBER, POSITIVE, metric_name

TRIGGERS = (
    "Epoch ",
    "s - ",
    "/step",
    "/sample",
    "/epoch",
    "Using ",
    "Keras",
    "keras",
    "early stopping",
    " - ETA: ",
    "] - ",
)

HEADER = re.compile(r"Epoch (\d+)/(\d+)\s*")
EARLY_STOP = re.compile(r"Epoch (\d+): early stopping")
METRIC = re.compile(rf" - ([A-Za-z_][\w./ @%-]*?): ({NUMBER})(?![\w.])")
METRICS = rf"(?P<metrics>(?: - [A-Za-z_][\w./ @%-]*?: {NUMBER})*)"
BAR = re.compile(
    r"\s*(?P<step>\d+)/(?P<steps>\d+|Unknown) ?\[[=>.]*\] ?-? ?"
    r"(?:ETA: (?P<eta>[\d:]+s?)|(?P<seconds>\d+)s(?: (?P<each>[\d.]+)(?P<unit>s|ms|us)/(?:step|sample|epoch))?)"
    + METRICS
)
BAR_3 = re.compile(
    r"\s*(?P<step>\d+)/(?P<steps>\d+|Unknown) ━+ (?P<time>[\d:]+s?) (?P<each>\d+)(?P<unit>s|ms|us|μs)/step" + METRICS
)
LINE = re.compile(
    r"\s*(?:(?P<step>\d+)/(?P<steps>\d+|Unknown))?(?: ?- )?(?P<seconds>\d+)s"
    r"(?: - (?P<each>[\d.]+)(?P<unit>s|ms|us)/(?:step|sample|epoch))?" + METRICS
)
# The first epoch over data of unknown length
UNKNOWN = re.compile(r"\s*(?P<step>\d+)/(?P<steps>Unknown)\s*-? ?\d+s \d+(?:s|ms|us|μs)/step" + METRICS)
EACH = re.compile(rf"({POSITIVE})(s|ms|us|μs)/(step|sample)")
BACKEND = re.compile(r"Using (\w+) backend")


def read(text: str) -> list[Event]:
    """Read one line; a bar in the middle of an epoch is progress, one at its end a FullBar."""
    if match := HEADER.fullmatch(text):
        return [EpochStart(int(match[1]), int(match[2]))]
    if "Epoch " in text and (match := EARLY_STOP.search(text)):
        return [Sign("completed", "success", f"early stopping after epoch {int(match[1])}")]
    if BACKEND.match(text):
        return [Fact("framework", "keras")]
    if "ETA: " in text and (match := BAR.match(text)) and match["eta"]:
        return [*_point(match)]
    if "/Unknown" in text and (match := UNKNOWN.match(text)):
        return _point(match)
    match = BAR.match(text) or ("━" in text and BAR_3.match(text)) or LINE.match(text)
    if not match:
        return []
    values = _values(match["metrics"])
    tail = text[match.end() :]
    if match.re is LINE and not values:
        return []  # any "12s" would do
    if match.re is BAR_3 and match["step"] != match["steps"]:
        return _point(match)
    steps = match["steps"]
    number = None if steps in (None, "Unknown") else int(steps)
    seconds = match["time"] if match.re is BAR_3 else match["seconds"]
    events: list[Event] = [Fact("framework", "keras")]
    if each := EACH.search(tail) or EACH.search(text):
        scale = {"s": 1e3, "ms": 1.0, "us": 1e-3, "μs": 1e-3}[each[2]]
        values[f"ms_per_{each[3]}"] = float(each[1]) * scale
    return [*events, FullBar(values, number, _seconds(seconds))]


def _seconds(text: str) -> float | None:
    return float(text.removesuffix("s")) if ":" not in text else None


def _values(metrics: str) -> dict[str, float]:
    return {metric_name(name): float(value) for name, value in METRIC.findall(metrics)}


def _point(match: re.Match[str]) -> list[Event]:
    steps = match["steps"]
    total = None if steps == "Unknown" else int(steps)
    return [Progress(_values(match["metrics"]), int(match["step"]), total)]
