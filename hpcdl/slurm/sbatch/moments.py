"""Points in time: --begin and --deadline (parse_time() of parse_time.c)."""

import re
import time

from hpcdl.slurm.sbatch.numbers import LONG_MAX, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal

ALLOWED = "HH:MM[:SS], MMDD[YY], MM/DD[/YY], YYYY-MM-DD[THH:MM[:SS]], today, tomorrow, noon, midnight, now+COUNT[UNIT]"
_UNITS = {"seconds": 1, "second": 1, "minutes": 60, "minute": 60, "hours": 3600, "hour": 3600}
_UNITS |= {"days": 86400, "day": 86400, "weeks": 604800, "week": 604800}
_HOURS = {"midnight": 0, "noon": 12, "fika": 15, "teatime": 16}
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?[ \t\n\v\f\r]*(pm|am)?", re.IGNORECASE)
_DASHED_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{1,2})")
# Two digits where there are two: the C code never goes back to try with one.
_ONE_OR_TWO = r"([0-9](?:[0-9]|(?![0-9])))"
_SHORT_DATE = re.compile(rf"{_ONE_OR_TWO}[./]?{_ONE_OR_TWO}[./]?(?:([0-9]{{2}})|(?![0-9]))")


def moment(text: str, now: float) -> int:
    """Return the point in time that `text` names, in seconds since 1970, seen from `now`.

    Raises:
        Refusal: sbatch takes it for no time.
    """
    try:
        result = _universal(text) if text[:3].lower() == "uts" else _local(text, now)
    except (ValueError, OverflowError, OSError):
        result = 0
    if not result:
        raise Refusal(f"{text!r} is no point in time; allowed: {ALLOWED}", rule="bad-moment")
    return result


def show_moment(seconds: int) -> str:
    """Return a point in time the way `sbatch -v` prints it (without SLURM_TIME_FORMAT)."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def _universal(text: str) -> int:
    number, rest = leading_integer(text[3:])
    return number if number is not None and not rest and 1_000_000 <= number < LONG_MAX else 0


def _local(text: str, now: float) -> int:
    text = text.split("\n", 1)[0]
    today = time.localtime(now)
    date: tuple[int | None, int, int] | None = None  # year (None: the next such day), month, day
    clock: tuple[int, int, int] | None = None
    position = 0
    while position < len(text):
        rest = text[position:]
        lower = rest.lower()
        if rest[0] in " \t-T":
            # sbatch skips a capital T between date and time before it looks for words, so "Today" is no word.
            position += 1
        elif lower.startswith("today"):
            date = (today.tm_year, today.tm_mon, today.tm_mday)
            position += len("today")
        elif lower.startswith("tomorrow"):
            later = time.localtime(now + 86400)
            date = (later.tm_year, later.tm_mon, later.tm_mday)
            position += len("tomorrow")
        elif word := next((word for word in _HOURS if lower.startswith(word)), None):
            clock = (_HOURS[word], 0, 0)
            position += len(word)
        elif lower.startswith("now"):
            shift, length = _shift(rest)
            later = time.localtime(int(now) + shift)
            date = (later.tm_year, later.tm_mon, later.tm_mday)
            clock = (later.tm_hour, later.tm_min, later.tm_sec)
            position += length
        elif ":" in rest[1:3]:
            clock, length = _clock(rest)
            position += length
        else:
            before = date
            (year, month, day), length = _date(rest)
            date = (year or (before[0] if before else None), month, day)  # a year said before stays
            position += length
    return _combine(date, clock, today, now)


def _shift(text: str) -> tuple[int, int]:
    """Read `now`, `now+2hours` or `now-1day`: the shift in seconds and the length read."""
    match = re.match(r"now[ \t]*(?:([+-])|$)", text, re.IGNORECASE)
    if not match:
        raise ValueError(text)
    if not match.group(1):
        return 0, len(text)
    position, number, digits, factor = match.end(), 0, 0, 1
    while position < len(text):
        unit = next((unit for unit in _UNITS if text[position:].lower().startswith(unit)), None)
        if text[position] in " \t\n\v\f\r":
            position += 1
        elif unit:
            factor = _UNITS[unit]
            position += len(unit)
            break
        elif text[position].isascii() and text[position].isdigit():
            number, digits = number * 10 + int(text[position]), digits + 1
            position += 1
        else:
            raise ValueError(text)
    if not digits:
        raise ValueError(text)
    return number * factor * (-1 if match.group(1) == "-" else 1), position


def _clock(text: str) -> tuple[tuple[int, int, int], int]:
    match = _CLOCK.match(text)
    if not match:
        raise ValueError(text)
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(text)
    half = (match[4] or "").lower()
    if half == "pm":
        hour = 12 if hour == 12 else hour + 12
    elif half == "am" and hour > 11:
        hour = 0 if hour == 12 else 24
    if hour > 23:
        raise ValueError(text)
    return (hour, minute, second), match.end()


def _date(text: str) -> tuple[tuple[int | None, int, int], int]:
    match = _DASHED_DATE.match(text)
    if match:
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    else:
        match = _SHORT_DATE.match(text)
        if not match:
            raise ValueError(text)
        month, day = int(match[1]), int(match[2])
        year = 2000 + int(match[3]) if match[3] and int(match[3]) else None  # type: ignore[assignment]
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError(text)
    return (year, month, day), match.end()


def _combine(
    date: tuple[int | None, int, int] | None, clock: tuple[int, int, int] | None, today: time.struct_time, now: float
) -> int:
    """A date alone is midnight, a time alone is the next such time, a date without a year is the next such date."""
    if clock is None and date is None:
        return 0
    hour, minute, second = clock or (0, 0, 0)
    if date is None:
        day = today if (hour, minute) > (today.tm_hour, today.tm_min) else time.localtime(now + 86400)
        date = (day.tm_year, day.tm_mon, day.tm_mday)
    year, month, mday = date
    if year is None:
        moment_of_year = (month, mday, hour, minute)
        is_later = moment_of_year > (today.tm_mon, today.tm_mday, today.tm_hour, today.tm_min)
        year = today.tm_year if is_later else today.tm_year + 1
    return int(time.mktime((year, month, mday, hour, minute, second, 0, 0, -1)))
