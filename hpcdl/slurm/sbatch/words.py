"""From the text of a script to the words of its directives.

Facts from src/sbatch/opt.c (next_line, get_argument, _opt_batch_script), xlate.c and sbatch.c of Slurm 22.05.8.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from hpcdl.slurm.sbatch.refusal import Refusal

# What isspace() of the C locale takes for a blank; Python's \s would add the no-break space.
BLANKS = " \t\n\v\f\r"
_BLANK_RUN = re.compile(r"[ \t\n\v\f\r]*")
_PLAIN_RUN = re.compile(r"[^ \t\n\v\f\r\"'\\#]+")
_QUOTED_RUN = {'"': re.compile(r'[^"\\]+'), "'": re.compile(r"[^'\\]+")}
_SEPARATOR = re.compile(r"(?:packjob|hetjob)(?![^ \t\n\v\f\r])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a directive, quotes and backslashes resolved. `line` and `column` count from 1."""

    text: str
    line: int
    column: int


def check_text(text: str) -> None:
    """Make the checks that sbatch makes of the whole file, in its order.

    Raises:
        Refusal: it is empty or blank, has no `#!`, holds a NUL or a DOS line end.
    """
    if not text:
        raise Refusal("the script is empty", rule="empty-script")
    if not text.split("\0", 1)[0].strip(BLANKS):
        raise Refusal("the script holds only blanks", rule="empty-script")
    if not text.startswith("#!"):
        raise Refusal("the first line must start with #! and the path of an interpreter", line=1, rule="no-shebang")
    if "\0" in text:
        raise Refusal("the script holds a NUL byte", line=text.count("\n", 0, text.index("\0")) + 1, rule="nul-byte")
    if "\r\n" in text:
        line = text.count("\n", 0, text.index("\r\n")) + 1
        raise Refusal(
            "the script has DOS line ends (\\r\\n) instead of Unix ones (\\n)", line=line, rule="dos-line-ends"
        )


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANK_RUN.match(text, position)
    assert match is not None  # it matches the empty string
    return match.end()


@lru_cache(maxsize=256)
def split_words(text: str, start: int, line: int) -> tuple[Word, ...]:
    """Return the words of one directive.

    A quote protects blanks and `#`, a backslash `#`, quotes and backslashes (also inside single quotes, never a blank
    outside them); an unprotected `#` ends the line even in the middle of a word; an empty word (`""`) and the word
    `hetjob` end it too.

    Args:
        text: the whole line, without its line end.
        start: where the directive's marker ends, from 0.
        line: the line's number, from 1.

    Raises:
        Refusal: a word starts with `:`, or a quote is not closed.
    """
    words: list[Word] = []
    position = start
    while True:
        position = begin = _skip_blanks(text, position)
        if _SEPARATOR.match(text, position):
            return tuple(words)
        if text.startswith(":", position):
            raise Refusal("a word may not start with a colon", line=line, rule="stray-colon")
        parts, quote = [], ""
        while position < len(text):
            character = text[position]
            if character == "\\":
                protected = text[position + 1 : position + 2]
                position += 1 + len(protected)
                if not quote and protected in BLANKS:  # a blank ends the word all the same (and so does the line's end)
                    position -= len(protected)
                    break
                parts.append(protected)
                continue
            if quote:
                if character == quote:
                    quote = ""
                    position += 1
                    continue
                run = _QUOTED_RUN[quote]
            elif character in "\"'":
                quote = character
                position += 1
                continue
            else:
                run = _PLAIN_RUN
            match = run.match(text, position)
            if match is None:  # an unprotected blank or '#'
                break
            parts.append(match.group())
            position = match.end()
        if quote:
            raise Refusal(f"the quote {quote} is not closed", line=line, rule="open-quote")
        word = "".join(parts)
        if not word:
            return tuple(words)
        words.append(Word(word, line, begin + 1))


@dataclass(frozen=True, slots=True)
class Directive:
    """A line that sbatch obeys. `marker`: `#SBATCH`, `#SLURM`, `#PBS` or `#BSUB`; `start`: where it ends, from 0."""

    marker: str
    text: str
    line: int

    @property
    def start(self) -> int:
        return len(self.marker)

    @property
    def is_separator(self) -> bool:
        """Whether the line parts two components of a heterogeneous job (its own options are then ignored)."""
        return bool(_SEPARATOR.match(self.text, _skip_blanks(self.text, self.start)))

    def words(self) -> tuple[Word, ...]:
        return split_words(self.text, self.start, self.line)


def slurm_directives(lines: list[str]) -> Iterator[Directive]:
    """Yield the #SBATCH lines down to the first line that is neither blank nor a comment."""
    for number, line in enumerate(lines, 1):
        if line.startswith("#SBATCH"):
            yield Directive("#SBATCH", line, number)
        elif line.startswith("#SLURM"):
            yield Directive("#SLURM", line, number)
        elif is_command(line):
            return


def is_command(line: str) -> bool:
    """Whether the first character that is no blank is something other than `#`."""
    line = line.lstrip(BLANKS)
    return bool(line) and not line.startswith("#")


def foreign_directives(lines: list[str], marker: str) -> Iterator[Directive]:
    """Yield the #PBS or #BSUB lines: the whole script, commands or not, until 100 lines do not start with `#`."""
    others = 0
    for number, line in enumerate(lines, 1):
        if line.startswith(marker):
            yield Directive(marker, line, number)
        elif not line.startswith("#"):
            others += 1
            if others > 100:
                return
