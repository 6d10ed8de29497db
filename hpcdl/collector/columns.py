"""What the columns of a table are to people: header with unit, and the number of digits that makes sense."""

import math
import re
from typing import Any

from hpcdl.collector.epochs import EPOCH_COLUMNS
from hpcdl.collector.ranks import RANK_COLUMNS
from hpcdl.collector.row import COLUMNS

EMPTY = "-"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What could move the cursor, recolour a terminal or turn text round: names and messages in logs are not ours."""

DERIVED_COLUMNS: dict[str, str] = {
    "runs": "int: how many runs a row of `--repeats` holds",
    "completed": "int: how many of them completed; only these are in the means",
    "speedup": "float: throughput over that of the smallest run of the group",
    "efficiency": "float: speedup over how many times more ranks there are; 1 is ideal",
}
"""The columns that `--repeats` and `--speedup` add: type, unit, meaning."""

ALL_COLUMNS = COLUMNS | EPOCH_COLUMNS | RANK_COLUMNS | DERIVED_COLUMNS

HEADERS = {
    "images_per_s": "images/s",
    "rank_images_per_s": "images/s of the rank",
    "time_s": "time h:m:s",
    "speedup": "speed-up",
}
DURATIONS = ("time_s",)


def harmless(text: str) -> str:
    """Return `text` with control characters, escape sequences and direction marks shown as code points.

    >>> harmless("a\\x1b[31mb")
    'a<1b>[31mb'
    """
    if text.isascii() and text.isprintable():
        return text
    return CONTROL.sub(lambda match: f"<{ord(match[0]):02x}>", text)


def header(column: str) -> str:
    """Return a column's header for people, with its unit; a key of the job file without its section.

    >>> header("test_accuracy"), header("epoch_s"), header("metric.tokens_per_s"), header("train.batch_size")
    ('test accuracy', 'epoch s', 'tokens/s', 'batch_size')
    """
    if column in HEADERS:
        return HEADERS[column]
    name = column.removeprefix("metric.")
    if is_setting(column):
        return harmless(name.partition(".")[2])
    return harmless(re.sub(r"_per_(?=\w+$)", "/", name).replace("_", " "))


def is_numeric(column: str) -> bool:
    """Tell whether a column holds quantities by its nature; settings of a job are of either kind."""
    return column.startswith("metric.") or ALL_COLUMNS.get(column, "").startswith(("int", "float"))


def is_setting(column: str) -> bool:
    """Tell whether a column is a value of the job file, under its dotted key."""
    return "." in column and not column.startswith("metric.")


def cell(column: str, value: Any) -> str:
    """Return a value for people.

    >>> cell("test_accuracy", 0.99273), cell("images_per_s", 1530.125), cell("time_s", 3725.4), cell("ranks", None)
    ('0.9927', '1,530', '1:02:05', '-')
    """
    if value is None or value == "":
        return EMPTY
    if isinstance(value, list):
        return harmless(", ".join(map(str, value)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return harmless(str(value))
    if not math.isfinite(value) or is_setting(column):
        return str(value)
    if column in DURATIONS:
        return duration(value)
    if isinstance(value, int):
        return format(value, ",d")
    if column.endswith("per_s") or column.endswith("_per_rank"):
        return rate(value)
    if column in ("speedup", "efficiency"):
        return f"{value:.2f}"
    if column.endswith("_s"):
        return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"
    if "accuracy" in column:
        return f"{value:.4f}"
    if column.endswith("loss"):
        return loss(value)
    return f"{value:,.0f}" if abs(value) >= 1e4 and abs(value) < 1e15 else f"{value:.4g}"


def loss(value: float) -> str:
    """Return a loss with four decimals, or with an exponent where those would be noughts.

    >>> loss(0.0332), loss(3.23e-05), loss(0.0)
    ('0.0332', '3.2e-05', '0.0000')
    """
    return format(value, ".1e" if value and abs(value) < 1e-3 else ".4f")


def rate(per_s: float) -> str:
    """Return a throughput to three digits or to whole images, whichever is finer.

    >>> rate(1530.125), rate(1.0881)
    ('1,530', '1.09')
    """
    return format(per_s, ",.0f" if per_s >= 100 else ".3g")


def duration(seconds: float) -> str:
    """Return hours:minutes:seconds.

    >>> duration(3725.4)
    '1:02:05'
    """
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def with_spread(mean: float, deviation: float) -> str:
    """Return `mean ± deviation`, to the digits that the deviation leaves meaning to.

    The rule is that of the Particle Data Group (Review of Particle Physics, Introduction, "Rounding"): of the
    deviation's first three digits, 100 to 354 keep two, 355 to 949 one, 950 to 999 become 1000 and keep two.

    >>> with_spread(0.99312, 0.00127), with_spread(1530.1, 41.0), with_spread(0.5, 0.0)
    ('0.9931 ± 0.0013', '1,530 ± 40', '0.5 ± 0')
    """
    if not deviation or not math.isfinite(deviation) or not math.isfinite(mean):
        return f"{mean:,.6g} ± {deviation:g}"
    exponent = math.floor(math.log10(abs(deviation)))
    first_three = round(abs(deviation) / 10.0 ** (exponent - 2))
    decimals = -exponent + (1 if first_three <= 354 else 0)
    if abs(exponent) > 15 or (mean and abs(math.log10(abs(mean))) > 15):
        return f"{mean:.3e} ± {deviation:.1e}"
    digits = max(decimals, 0)
    return f"{round(mean, decimals):,.{digits}f} ± {round(deviation, decimals):,.{digits}f}"
