"""A batch script as the rules see it: the reading, the words of each directive, and the commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hpcdl.slurm.directives import Reading
from hpcdl.slurm.sbatch import getopt
from hpcdl.slurm.sbatch.getopt import Given
from hpcdl.slurm.sbatch.history import option_table
from hpcdl.slurm.sbatch.options import Option
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.request import Setting
from hpcdl.slurm.sbatch.words import Directive, is_command, slurm_directives

_HEREDOC = re.compile(r"(?<!<)<<-?\s*([\"'\\]?)([A-Za-z_][A-Za-z0-9_]*)\1")


def _open_quote(line: str, quote: str) -> str:
    """Return the quote that is open at the end of a line of shell, given the one open at its start ("" for none)."""
    if "'" not in line and '"' not in line:
        return quote
    position = 0
    while position < len(line):
        character = line[position]
        if quote == "'":
            quote = "" if character == "'" else quote
        elif character == "\\":
            position += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and (position == 0 or line[position - 1] in " \t;"):
            break
        position += 1
    return quote


@dataclass
class Script:
    """One script.

    Attributes:
        text: all of it.
        reading: what sbatch makes of it, with an empty environment.
        version: Slurm's version, such as (22, 5).
        plugin_options: those of the site.
    """

    text: str
    reading: Reading
    version: tuple[int, int]
    plugin_options: frozenset[str] = frozenset()

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def table(self) -> getopt.Table[Option]:
        """The options that the script may use: sbatch's own and those of plugins."""
        return option_table(self.version, True, self.plugin_options)

    @cached_property
    def _offsets(self) -> list[int]:
        offsets = [0]
        for line in self.lines:
            offsets.append(offsets[-1] + len(line) + 1)
        return offsets

    def offset(self, line: int, column: int = 1) -> int:
        """Return the place of a line and column (both from 1) in the text, from 0."""
        return self._offsets[line - 1] + column - 1

    @cached_property
    def directives(self) -> list[Directive]:
        """The #SBATCH lines that sbatch reads."""
        return list(slurm_directives(self.lines))

    @cached_property
    def given(self) -> list[Given[Option]]:
        """The options of the #SBATCH lines, each line read by itself: a wrong one does not hide the others."""
        found: list[Given[Option]] = []
        for directive in self.directives:
            try:
                found.extend(getopt.parse(directive.words(), self.table))
            except Refusal:
                continue
        return found

    @property
    def options(self) -> dict[str, Setting]:
        """The options in force in the first component."""
        return self.reading.options

    def number(self, option: str) -> int | None:
        """Return the value of an option that is a plain number, or None."""
        setting = self.options.get(option)
        shown = (setting.understood or "") if setting else ""
        return int(shown) if shown.isascii() and shown.isdigit() else None

    def place(self, option: str) -> tuple[int, int]:
        """Return line and column of the last directive that sets an option."""
        for given in reversed(self.given):
            if given.option.key == option:
                return given.word.line, given.word.column
        setting = self.options.get(option)
        return (setting.line or 1 if setting else 1), 1

    @cached_property
    def first_command(self) -> int | None:
        """The line of the first command, where sbatch stops to read."""
        return next((n for n, line in enumerate(self.lines, 1) if is_command(line)), None)

    @cached_property
    def body(self) -> list[tuple[int, str]]:
        """The lines from the first command on, with their numbers, without here-documents and strings over many lines.

        Scripts that write other scripts hold directives there which are not their own.
        """
        if self.first_command is None:
            return []
        body: list[tuple[int, str]] = []
        end: str | None = None
        quote = ""
        for number, line in enumerate(self.lines[self.first_command - 1 :], self.first_command):
            if end is not None:
                if line.strip("\t") == end or line.strip() == end:
                    end = None
                continue
            if not quote:
                body.append((number, line))
            quote = _open_quote(line, quote)
            if quote:
                continue
            match = None if line.lstrip().startswith("#") else _HEREDOC.search(line)
            if match:
                end = match.group(2)
        return body

    @cached_property
    def commands(self) -> list[tuple[int, str]]:
        """The commands: the body without comments and blank lines, continued lines joined."""
        commands: list[tuple[int, str]] = []
        open_line = False
        for number, line in self.body:
            if not open_line and not is_command(line):
                continue
            text = line.rstrip()
            continues = text.endswith("\\")
            text = text.removesuffix("\\").strip()
            if open_line:
                commands[-1] = (commands[-1][0], f"{commands[-1][1]} {text}")
            else:
                commands.append((number, text))
            open_line = continues
        return commands

    def calls(self, program: str) -> Iterator[tuple[int, str]]:
        """Yield line and arguments of every call of a program at the start of a command."""
        pattern = re.compile(rf"(?:^|[;&|(]\s*|\b(?:time|exec|if|then|do)\s+|\w+=\S*\s+){program}\s+(.*)")
        for number, command in self.commands:
            match = pattern.search(command) if program in command else None
            if match:
                yield number, match.group(1)
