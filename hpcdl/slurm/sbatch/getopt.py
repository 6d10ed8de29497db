"""The C library's getopt_long, as sbatch uses it: stop at the first word that is no option."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.words import Word


class Takes(Enum):
    """Whether an option takes a value."""

    NOTHING = "nothing"
    VALUE = "value"
    MAYBE = "maybe"  # only attached: --exclusive=user, never --exclusive user


class OptionLike(Protocol):
    """What the parser has to know of an option."""

    @property
    def name(self) -> str: ...
    @property
    def short(self) -> str | None: ...
    @property
    def takes(self) -> Takes: ...


AnyOption = TypeVar("AnyOption", bound=OptionLike)


@dataclass(frozen=True, slots=True)
class Given(Generic[AnyOption]):
    """One option as it was given: `spelling` is what the user wrote for its name; `value` None: there was none."""

    option: AnyOption
    spelling: str
    value: str | None
    word: Word
    swallowed: bool = False  # the value was the next word


class Table(Generic[AnyOption]):
    """The options of one program, by long name and by letter; of two with one name or letter the first counts."""

    def __init__(self, options: Sequence[AnyOption]) -> None:
        self.options = tuple(options)
        self.by_name = {option.name: option for option in reversed(options)}
        self.by_letter = {option.short: option for option in reversed(options) if option.short}


def parse(words: Sequence[Word], table: Table[AnyOption]) -> Iterator[Given[AnyOption]]:
    """Yield the options of `words` in order.

    Raises:
        Refusal: an unknown or ambiguous option, a value too many or too few, or a word that is no option.
    """
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        text = word.text
        if text == "--":
            break
        if text.startswith("--"):
            name, equals, value = text[2:].partition("=")
            option = table.by_name.get(name) or _abbreviated(name, table.options, word)
            if equals and option.takes is Takes.NOTHING:
                raise Refusal(f"--{option.name} takes no value", word.line, option.name, rule="needless-value")
            if equals or option.takes is not Takes.VALUE:
                yield Given(option, f"--{name}", value if equals else None, word)
            else:
                yield Given(option, f"--{name}", _next(words, position, option, word), word, swallowed=True)
                position += 1
        elif text.startswith("-") and text != "-":
            for index, letter in enumerate(text[1:], 1):
                option_or_none = table.by_letter.get(letter)
                if option_or_none is None:
                    raise Refusal(_unknown_letter(letter, text), word.line, rule="unknown-option")
                option = option_or_none
                rest = text[index + 1 :]
                if option.takes is Takes.NOTHING:
                    yield Given(option, f"-{letter}", None, word)
                    continue
                if rest or option.takes is Takes.MAYBE:
                    yield Given(option, f"-{letter}", rest or None, word)
                else:
                    yield Given(option, f"-{letter}", _next(words, position, option, word), word, swallowed=True)
                    position += 1
                break
        else:
            raise Refusal(f"the word {text!r} belongs to no option", word.line, rule="stray-word")
    if position < len(words):  # after a `--`
        word = words[position]
        raise Refusal(f"the word {word.text!r} belongs to no option", word.line, rule="stray-word")


def _unknown_letter(letter: str, text: str) -> str:
    if len(text) > 2:
        return f"there is no option -{letter} (in {text!r}; a long name takes two dashes)"
    return f"there is no option -{letter}"


def _next(words: Sequence[Word], position: int, option: OptionLike, word: Word) -> str:
    if position >= len(words):
        raise Refusal(f"--{option.name} needs a value", word.line, option.name, rule="missing-value")
    return words[position].text


def _abbreviated(name: str, options: Sequence[AnyOption], word: Word) -> AnyOption:
    """Return the one option whose name starts with `name`.

    Two names of one option would be no ambiguity to getopt, but --ntasks-per-node and --tasks-per-node, the only such
    names, start differently.
    """
    candidates = [option for option in options if option.name.startswith(name)]
    if not candidates:
        raise Refusal(f"there is no option --{name}", word.line, rule="unknown-option")
    if len(candidates) > 1:
        names = ", ".join(f"--{option.name}" for option in candidates[:4])
        raise Refusal(f"--{name} is ambiguous: {names}", word.line, rule="ambiguous-option")
    return candidates[0]
