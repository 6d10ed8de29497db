"""What the user is told: mail types and the warning signal (parse_mail_type and get_signal_opts of proc_args.c)."""

import signal as _signal

from hpcdl.slurm.sbatch.numbers import int32, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.words import BLANKS

# In the order in which `sbatch -v` prints them.
MAIL_TYPES = (
    "ARRAY_TASKS",
    "INVALID_DEPEND",
    "BEGIN",
    "END",
    "FAIL",
    "REQUEUE",
    "STAGE_OUT",
    "TIME_LIMIT_50",
    "TIME_LIMIT_80",
    "TIME_LIMIT_90",
    "TIME_LIMIT",
)
_ALL = frozenset({"INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT"})

# The names that sbatch knows; any other signal is given by its number.
_SIGNAL_NAMES = "HUP INT QUIT ABRT KILL ALRM TERM USR1 USR2 URG CONT STOP TSTP TTIN TTOU XCPU".split()
SIGNALS = {name: int(getattr(_signal, f"SIG{name}")) for name in _SIGNAL_NAMES}


def mail_types(text: str) -> frozenset[str]:
    """Return the events of one --mail-type. Words that sbatch does not know are ignored as long as one is known.

    Raises:
        Refusal: no word is known.
    """
    types: set[str] = set()
    for word in filter(None, text.split(",")):
        word = word.upper()
        if word == "NONE":
            return frozenset()
        if word == "ALL":
            types |= _ALL
        elif word in MAIL_TYPES:
            types.add(word)
    if not types:
        raise Refusal(f"{text!r} names no mail type; allowed: NONE, ALL, {', '.join(MAIL_TYPES)}", rule="bad-value")
    return frozenset(types)


def show_mail_types(types: frozenset[str]) -> str:
    """Return the events the way `sbatch -v` prints them."""
    return ",".join(name for name in MAIL_TYPES if name in types) or "NONE"


def warning_signal(text: str) -> tuple[str, int, int]:
    """Read `[{R|B}:]SIGNAL[@SECONDS]`.

    Returns:
        The flags ("", "B", "R" or "RB"), the signal's number, and how many seconds before the end it comes.

    Raises:
        Refusal: no such signal, or the time is no number of seconds from 0 to 65535.
    """
    flags, rest = "", text
    for letter in "RBR":  # sbatch looks for R, then B, then R again
        if rest[:1].upper() == letter:
            flags += letter if letter not in flags else ""
            rest = rest[1:]
    rest = rest.removeprefix(":")
    name, at, time = rest.partition("@")
    number = _signal_number(name) % 2**16
    if not number:
        raise Refusal(f"{text!r} names no signal; allowed: {', '.join(SIGNALS)} or a number", rule="bad-value")
    if not at:
        return "".join(sorted(flags, reverse=True)), number, 60
    seconds, tail = leading_integer(time)
    seconds = seconds or 0
    if tail or not 0 <= seconds <= 0xFFFF:
        raise Refusal(f"{time!r} is no number of seconds from 0 to 65535", rule="bad-value")
    return "".join(sorted(flags, reverse=True)), number, seconds


def _signal_number(name: str) -> int:
    number, rest = leading_integer(name)
    if number is not None:
        return int32(number) if not rest.strip(BLANKS) else 0
    name = name.lstrip(BLANKS).upper().removeprefix("SIG").rstrip(BLANKS)
    return SIGNALS.get(name, 0)


def show_warning_signal(flags: str, number: int, seconds: int) -> str:
    """Return a warning signal the way `sbatch -v` prints it; 60 seconds is the default and not printed."""
    name = next((name for name, known in SIGNALS.items() if known == number), str(number))
    return (f"{flags}:" if flags else "") + name + (f"@{seconds}" if seconds != 60 else "")
