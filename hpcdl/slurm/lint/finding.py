"""What a rule finds, and the table of rules."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcdl.slurm.lint.script import Script


class Level(str, Enum):
    """How much it matters. A note tells what may well be meant: it does not count for the exit code."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters `begin` to `end` (from 0, of the whole text) by `text`."""

    begin: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a rule has to say about one place.

    Attributes:
        rule: the rule's name.
        level: an error is refused by sbatch, a warning is accepted with another meaning.
        line: from 1.
        column: from 1, in characters.
        why: what is wrong and what happens, one or two sentences.
        fix: what to write instead.
        edits: the same for a program; empty where a person has to decide.
    """

    rule: str
    level: Level
    line: int
    column: int
    why: str
    fix: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule's function yields; the rule's name and usual level are added by `check`."""

    line: int
    column: int
    why: str
    fix: str
    edits: tuple[Edit, ...] = ()
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, its usual level, one sentence that says what it finds, and the function."""

    name: str
    level: Level
    summary: str
    find: Callable[["Script"], Iterator[Hit]]


RULES: dict[str, Rule] = {}


def rule(
    name: str, level: Level = Level.WARNING
) -> Callable[[Callable[["Script"], Iterator[Hit]]], Callable[["Script"], Iterator[Hit]]]:
    """Register a function as a rule; the first line of its docstring is the rule's summary."""

    def register(find: Callable[["Script"], Iterator[Hit]]) -> Callable[["Script"], Iterator[Hit]]:
        RULES[name] = Rule(name, level, (find.__doc__ or "").strip().split("\n")[0], find)
        return find

    return register
