"""The kinds of value that job files, site profiles and settings share."""

import re
import shlex
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]

TIME_PATTERN = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d{1,3}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)", re.ASCII)


def seconds(time: str) -> int:
    """Return the seconds of a time limit.

    Args:
        time: HH:MM:SS or D-HH:MM:SS. Slurm's shorter forms are not taken: `24:00` is 24 minutes there.

    Raises:
        ValueError: the text is no time limit, or zero, which Slurm reads as no limit at all.

    >>> seconds("01:00:00"), seconds("2-00:00:00")
    (3600, 172800)
    """
    match = TIME_PATTERN.fullmatch(time)
    days, hours, minutes, rest = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if not total:
        raise ValueError(f'{time!r} is no time limit; write HH:MM:SS or D-HH:MM:SS, such as "01:00:00".')
    return total


def _time_limit(text: str) -> str:
    seconds(text)
    return text


TimeLimit = Annotated[
    str, AfterValidator(_time_limit), WithJsonSchema({"type": "string", "pattern": r"^(\d+-)?\d{1,3}:[0-5]\d:[0-5]\d$"})
]
"""A text that `seconds` can read."""


def _option_value(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("an option needs a value; give one, or false to leave the option out.")
    if not isinstance(value, str | int):  # bool is an int
        raise ValueError(
            f"{value!r} must be a text, a whole number, true (an option without value) or false (leave out)."
        )
    return value


def _option_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name, re.ASCII):
        raise ValueError("no option of sbatch; write its long name without the dashes, such as mail-type.")
    return name


OptionName = Annotated[str, AfterValidator(_option_name)]
"""The long name of an option of sbatch, without the dashes."""
OptionValue = Annotated[Any, BeforeValidator(_option_value), WithJsonSchema({"type": ["string", "integer", "boolean"]})]
"""What sbatch is told: a text or a number, true for an option without a value, false for no such line."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VariableName = Annotated[str, Field(pattern=rf"^{VARIABLE.pattern}$")]
"""The name of an environment variable."""


def _words(command: Any) -> Any:
    if isinstance(command, str):
        try:
            command = shlex.split(command)
        except ValueError as fault:
            raise ValueError(f"{command!r} cannot be cut into words ({fault}); write a list of words.") from None
    if command == []:
        raise ValueError("the command is empty; write the program and its arguments.")
    return command


Command = Annotated[
    list[str],
    BeforeValidator(_words),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A program and its arguments: a list of words, or a text, which is cut into words as a shell does; nothing in it is
expanded."""
