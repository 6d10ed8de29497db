"""Memory and disk sizes: a whole number and K, M (the default), G or T, with or without B (proc_args.c)."""

import re

from hpcdl.slurm.sbatch.numbers import LONG_MAX, LONG_MIN, NO_VALUE_64, divide, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal

ALLOWED = "a whole number and K, M, G or T (M when there is no letter)"
_SUFFIX = re.compile(r"(?:([kmgt])b?)?", re.IGNORECASE)


def megabytes(text: str) -> int:
    """Return a size in MiB, kilobytes rounded up.

    Raises:
        Refusal: it is no size.
    """
    number, rest = leading_integer(text)
    match = _SUFFIX.fullmatch(rest)
    if number is None or number < 0 or number in (LONG_MIN, LONG_MAX) or not match:
        raise Refusal(f"{text!r} is no size; allowed: {ALLOWED}", rule="bad-size")
    unit = (match.group(1) or "m").lower()
    size = divide(number + 1023, 1024) if unit == "k" else number * {"m": 1, "g": 1024, "t": 1024**2}[unit]
    size %= 2**64
    if size == NO_VALUE_64:
        raise Refusal(f"{text!r} is too large", rule="bad-size")
    return size


def show_megabytes(size: int) -> str:
    """Return a size in MiB the way `sbatch -v` prints it: in the largest unit that divides it."""
    for unit in "MGTP":
        if size % 1024:
            return f"{size}{unit}" if unit != "M" else str(size)
        size //= 1024
    return f"{size}?"  # what 22.05.8 prints for 0
