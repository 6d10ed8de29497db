"""Time limits: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours[:minutes[:seconds]]`.

Facts from parse_time.c of Slurm 22.05.8.
"""

import re

from hpcdl.slurm.sbatch.numbers import INFINITE_32, NO_VALUE_32, divide, int32, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal

ALLOWED = (
    "minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes or days-hours:minutes:seconds"
)
_NUMBER_RUN = re.compile(r"[0-9]+")
UNLIMITED = -1  # INFINITE of slurm.h in an int


def seconds(text: str) -> int | None:
    """Return a duration in seconds, UNLIMITED, or None when sbatch takes the text for no duration.

    A number wraps round at 32 bits as in sbatch, so a negative result is possible.
    """
    if text.upper() in ("-1", "INFINITE", "UNLIMITED"):
        return UNLIMITED
    if not _has_right_shape(text):
        return None
    if "-" in text:
        days, hours, minutes, secs = _scan(text, "-::")
        total = days * 86400 + hours * 3600 + minutes * 60 + secs
    else:
        first, second, third = _scan(text, "::")
        is_clock = text.count(":") == 2  # otherwise minutes[:seconds]
        total = first * 3600 + second * 60 + third if is_clock else first * 60 + second
    total = int32(total)
    return None if total == int32(NO_VALUE_32) else total


def minutes(text: str) -> int:
    """Read `--time` or `--time-min` as minutes, rounded up; 0 means UNLIMITED.

    Raises:
        Refusal: it is no duration.
    """
    total = seconds(text)
    if total == UNLIMITED:
        return UNLIMITED
    rounded = None if total is None else divide(total + 59, 60)
    if rounded is None or rounded == int32(NO_VALUE_32):
        raise Refusal(f"{text!r} is no time; allowed: {ALLOWED}", rule="bad-time")
    return rounded or UNLIMITED


def _has_right_shape(text: str) -> bool:
    """sbatch's own test, looser than the grammar: it counts runs of digits, dashes and colons."""
    if not re.fullmatch(r"[0-9:-]+", text):
        return False
    runs, dashes, colons = len(_NUMBER_RUN.findall(text)), text.count("-"), text.count(":")
    if not runs or dashes > 1 or colons > 2:
        return False
    if dashes and colons and text.index(":") < text.index("-"):
        return False
    return not colons or runs > colons + dashes


def _scan(text: str, separators: str) -> list[int]:
    """sscanf("%d-%d:%d:%d"): stop at the first thing that does not fit; what was not reached is 0."""
    numbers = [0] * (len(separators) + 1)
    for index in range(len(numbers)):
        number, rest = leading_integer(text)
        if number is None:
            break
        numbers[index] = int32(number)
        if index == len(separators) or not rest.startswith(separators[index]):
            break
        text = rest[1:]
    return numbers


def show_seconds(total: int) -> str:
    """Return a duration in seconds the way `sbatch -v` prints it."""
    if total == INFINITE_32:
        return "UNLIMITED"
    if total < 0:
        return "INVALID"
    days, rest = divmod(total, 86400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def show_minutes(total: int) -> str:
    """Return a duration in minutes the way `sbatch -v` prints it."""
    total %= 2**32
    return "UNLIMITED" if total == INFINITE_32 else show_seconds(total * 60)
