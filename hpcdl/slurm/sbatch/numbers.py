"""Numbers the way the C library reads and keeps them: leading digits count, what does not fit wraps round."""

import re

from hpcdl.slurm.sbatch.refusal import Refusal

_INTEGER = re.compile(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
LONG_MAX = 2**63 - 1
LONG_MIN = -(2**63)
NO_VALUE_32 = 0xFFFFFFFE  # NO_VAL of slurm.h
INFINITE_32 = 0xFFFFFFFF
NO_VALUE_64 = 0xFFFFFFFFFFFFFFFE


def leading_integer(text: str) -> tuple[int | None, str]:
    """Return the integer that `text` starts with (None if none, clamped to 64 bits as strtol does) and the rest."""
    match = _INTEGER.match(text)
    if match is None:
        return None, text
    sign, digits = match.groups()
    number = int(sign + (digits.lstrip("0")[:30] or "0"))  # 30 digits are beyond 64 bits; Python refuses thousands
    return max(LONG_MIN, min(LONG_MAX, number)), text[match.end() :]


def int32(number: int) -> int:
    """Return what a 32-bit `int` keeps of a number."""
    return (number + 2**31) % 2**32 - 2**31


def divide(dividend: int, divisor: int) -> int:
    """Return the quotient rounded towards zero, as C divides."""
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def count(text: str, *, positive: bool) -> int:
    """Read a plain count (parse_int of proc_args.c): decimal digits to the end, not negative, `positive` forbids 0.

    Raises:
        Refusal: it is no such number.
    """
    number, rest = leading_integer(text)
    number = 0 if number is None else number
    if rest or number < 0 or (positive and number == 0):
        least = "a whole number from 1" if positive else "a whole number from 0"
        raise Refusal(f"{text!r} is not {least}")
    if number == LONG_MAX:
        raise Refusal(f"{text!r} is too large")
    return int32(number)
