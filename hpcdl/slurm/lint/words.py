"""Single words of #SBATCH lines that sbatch takes for something else than the user meant."""

import re
from collections.abc import Iterator

from hpcdl.slurm.lint.finding import Edit, Hit, Level, rule
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.sbatch import getopt
from hpcdl.slurm.sbatch.getopt import Given, Takes
from hpcdl.slurm.sbatch.options import OPTIONS, PLUGINS, Option
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.words import BLANKS, Directive, Word

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_ODD_BLANKS = "\u00a0\u2007\u202f\u2009\u200a\u3000"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_ODD = re.compile(f"[{_ODD_BLANKS}{_INVISIBLE}]|(?<=[{BLANKS}{_ODD_BLANKS}])[{_DASHES}][{_DASHES}-]*(?=[A-Za-z])|[“”]")
_LONG_NAMES = {option.name: option for option in OPTIONS}
_SHELL = re.compile(r"\$\(|\$\{|\$[A-Za-z_]|`")
_PATHS = ("output", "error", "input", "chdir", "export-file", "nodefile", "bbf", "container")
# Where a dollar or a tilde may be meant literally.
_FREE_TEXT = ("comment", "wrap")


def _code(directive: Directive) -> str:
    """The line up to its comment; where the quoting is broken, all of it."""
    try:
        words = directive.words()
    except Refusal:
        return directive.text
    if not words:
        return directive.text[: directive.start]
    last = words[-1]
    comment = re.search(r"[ \t]#", directive.text[last.column - 1 :])
    if comment and not any(" #" in word.text or "\t#" in word.text for word in words):
        return directive.text[: last.column - 1 + comment.start()]
    return directive.text


@rule("odd-character")
def odd_character(script: Script) -> Iterator[Hit]:
    """A dash, blank or quote from a word processor or web page in a directive."""
    for directive in script.directives:
        for match in _ODD.finditer(_code(directive)):
            odd = match.group()
            if odd[0] in _DASHES:
                name, good = "a long dash", "--" if len(odd) > 1 or _is_long(directive.text[match.end() :]) else "-"
            elif odd in "“”":
                name, good = "a curly quote", '"'
            elif odd in _INVISIBLE:
                name, good = "an invisible character", ""
            else:
                name, good = "a no-break space", " "
            begin = script.offset(directive.line, match.start() + 1)
            edits: tuple[Edit, ...] = (Edit(begin, begin + len(odd), good),)
            if odd in "“”" and len(re.findall("[“”]", directive.text)) % 2:
                edits = ()
            why = f"{name} (U+{ord(odd[0]):04X}) means nothing to sbatch: it becomes part of a word"
            yield Hit(directive.line, match.start() + 1, why, f"type {good!r}" if good else "delete it", edits)


def _is_long(rest: str) -> bool:
    name = re.match(r"-*([A-Za-z-]+)", rest)
    return bool(name) and len(name.group(1)) > 1  # type: ignore[union-attr]


@rule("single-dash")
def single_dash(script: Script) -> Iterator[Hit]:
    """A long option with one dash, which sbatch reads as letters: `-output=x` is `-o utput=x`."""
    for directive, word in _words(script):
        match = re.match(r"-([a-z][a-z-]{2,})(=|$)", word.text)
        if match and match.group(1) in _LONG_NAMES and script.lines[word.line - 1][word.column - 1] == "-":
            begin = script.offset(word.line, word.column)
            why = f"with one dash sbatch reads -{word.text[1]} and the value {word.text[2:]!r}"
            yield Hit(directive.line, word.column, why, f"write --{match.group(1)}", (Edit(begin, begin, "-"),))


@rule("short-equals")
def short_equals(script: Script) -> Iterator[Hit]:
    """An equals sign after a short option, which becomes part of the value: `-p=gpu` asks for the partition "=gpu"."""
    for given in script.given:
        value = given.value or ""
        if given.spelling.startswith("--") or given.swallowed or not value.startswith("="):
            continue
        word = given.word
        line = script.lines[word.line - 1]
        at = line.find(f"-{given.option.short}=", word.column - 1)
        edits: tuple[Edit, ...] = ()
        if at >= 0 and len(value) > 1 and len(word.text) == len(value) + 2:
            begin = script.offset(word.line, at + 3)
            edits = (Edit(begin, begin + 1, "" if given.option.takes is Takes.MAYBE else " "),)
        why = f"the value is {value!r}, equals sign included"
        yield Hit(
            word.line,
            word.column,
            why,
            f"write -{given.option.short} {value[1:]} or --{given.option.name}={value[1:]}",
            edits,
        )


@rule("hash-in-value")
def hash_in_value(script: Script) -> Iterator[Hit]:
    """A `#` inside a word, which cuts the word off: `--job-name=run#3` is "run"."""
    for directive in script.directives:
        for word in _safe_words(directive):
            end = _end_of(directive, word)
            if directive.text[end : end + 1] == "#" and directive.text[end + 1 : end + 2] not in ("", *BLANKS, "#"):
                begin = script.offset(directive.line, end + 1)
                rest = re.match(r"[^ \t]*", directive.text[end:]).group()  # type: ignore[union-attr]
                why = f"the # starts a comment: the word is {word.text!r}, without {rest!r}"
                fix = "put the value in quotes, or a blank before a comment"
                yield Hit(directive.line, end + 1, why, fix, (Edit(begin, begin, "\\"),) if "=" in word.text else ())


def _end_of(directive: Directive, word: Word) -> int:
    """Where an unquoted word ends in the line, from 0; for a quoted one a place where no # stands."""
    end = word.column - 1 + len(word.text)
    return end if directive.text[word.column - 1 : end] == word.text else len(directive.text)


@rule("literal-variable")
def literal_variable(script: Script) -> Iterator[Hit]:
    """A shell variable, command or `~` in a directive; no shell ever expands it."""
    for given in script.given:
        value, name = given.value or "", given.option.key
        if name in _FREE_TEXT:
            continue
        match = _SHELL.search(value)
        what = "~" if name in _PATHS and re.match(r"~\w*(/|$)", value) else match.group() if match else None
        if what:
            why = f"no shell reads directives: the value stays {value!r}, letter by letter"
            fix = "write the value out, or give it on the command line: sbatch --" + name + "=..."
            if name in _PATHS:
                fix = "write the path out; %u is the user, %x the job's name, %j its number"
            yield Hit(given.word.line, given.word.column, why, fix)


@rule("empty-value")
def empty_value(script: Script) -> Iterator[Hit]:
    """An option with an empty value, such as `--partition=`."""
    for given in script.given:
        if given.value == "" and given.option.takes is Takes.VALUE:
            why = f"--{given.option.name} is set to nothing, which is not the same as leaving it out"
            yield Hit(given.word.line, given.word.column, why, "give a value, or leave the option out")


@rule("swallowed-option")
def swallowed_option(script: Script) -> Iterator[Hit]:
    """An option without its value, which takes the next option for it."""
    words = [word for directive in script.directives for word in _safe_words(directive)]
    try:
        for given in getopt.parse(words, script.table):
            if (
                given.swallowed
                and re.match(r"--?[A-Za-z]", given.value or "")
                and not re.fullmatch(r"-\d+", given.value or "")
            ):
                why = f"--{given.option.name} has no value and takes the next word, {given.value!r}, which is lost"
                yield Hit(
                    given.word.line, given.word.column, why, f"give --{given.option.name} a value, or leave it out"
                )
    except Refusal:
        return


@rule("abbreviated-option", Level.NOTE)
def abbreviated_option(script: Script) -> Iterator[Hit]:
    """A long option cut short; it works until a newer Slurm has a second option that starts so."""
    for given in script.given:
        name = given.spelling.removeprefix("--")
        if given.spelling.startswith("--") and name != given.option.name:
            begin = script.offset(given.word.line, given.word.column)
            plain = script.text.startswith(given.spelling, begin)
            edits = (Edit(begin, begin + len(given.spelling), f"--{given.option.name}"),) if plain else ()
            why = f"sbatch takes --{name} for --{given.option.name}"
            fix = f"write --{given.option.name}"
            if name in ("tasks", "task"):  # hardly ever what was meant
                yield Hit(
                    given.word.line,
                    given.word.column,
                    why,
                    f"{fix}, or --ntasks for all nodes together",
                    level=Level.WARNING,
                )
            else:
                yield Hit(given.word.line, given.word.column, why, fix, edits)


@rule("site-option", Level.NOTE)
def site_option(script: Script) -> Iterator[Hit]:
    """An option of a plugin that some sites have; elsewhere sbatch refuses it."""
    for given in script.given:
        whose = PLUGINS.get(given.option.name)
        if whose:
            why = f"--{given.option.name} is no option of sbatch itself but of a plugin: {whose}"
            yield Hit(given.word.line, given.word.column, why, "leave it out where the site has no such plugin")


@rule("site-resource", Level.NOTE)
def site_resource(script: Script) -> Iterator[Hit]:
    """A generic resource other than GPUs, which exists at some sites only."""
    for given in script.given:
        if given.option.name != "gres":
            continue
        names = {part.partition(":")[0] for part in (given.value or "").split(",")} - {"gpu", "none", "NONE", ""}
        if names and script.reading.accepted:
            listed = " and ".join(map(repr, sorted(names)))
            why = f"whether there is {listed} depends on the site (GresTypes of slurm.conf)"
            yield Hit(
                given.word.line, given.word.column, why, 'leave it out where sbatch says "Invalid generic resource"'
            )


@rule("repeated-option")
def repeated_option(script: Script) -> Iterator[Hit]:
    """The same option twice with two values; the last one counts."""
    last: dict[str, Given[Option]] = {}
    separators = [directive.line for directive in script.directives if directive.is_separator]
    for given in script.given:
        key = given.option.key
        before = last.get(key)
        last[key] = given
        if before is None or any(before.word.line < line <= given.word.line for line in separators):
            continue
        if key == "mail-type" and script.version < (25, 5):
            continue  # adds up
        same = before.value == given.value
        why = f"--{given.option.name} is already in line {before.word.line}" + (
            "" if same else f" with {before.value!r}, which is lost"
        )
        yield Hit(
            given.word.line, given.word.column, why, "leave one of the two out", level=Level.NOTE if same else None
        )


@rule("ignored-option")
def ignored_option(script: Script) -> Iterator[Hit]:
    """An option that only counts on the command line, such as --wrap or --verbose."""
    for given in script.given:
        option = given.option
        if option.early:
            why = f"sbatch ignores --{option.name} in a script"
            yield Hit(given.word.line, given.word.column, why, "give it on the command line, or leave it out")


@rule("lost-words")
def lost_words(script: Script) -> Iterator[Hit]:
    """Options after an empty word (`""`) or on a `hetjob` line, which sbatch does not read."""
    for directive in script.directives:
        words = _safe_words(directive)
        if directive.is_separator:
            match = re.match(r"\s*\w+\s+(\S.*)", directive.text[directive.start :])
            if match and not match.group(1).startswith("#"):
                column = directive.start + match.start(1) + 1
                why = "sbatch ignores what follows the word hetjob on its line"
                yield Hit(directive.line, column, why, "put the options on a line of their own")
            continue
        if not words:
            continue
        match = re.search(r"(?<=[ \t])(\"\"|'')[ \t]+[^# \t]", directive.text[words[-1].column - 1 :])
        if match:
            column = words[-1].column + match.start()
            why = "an empty word ends the line for sbatch; what follows is lost"
            yield Hit(directive.line, column, why, "leave the empty word out")


@rule("continued-line")
def continued_line(script: Script) -> Iterator[Hit]:
    """A directive that ends with a backslash; sbatch knows no continued lines."""
    for directive in script.directives:
        if directive.text.rstrip().endswith("\\") and "#" not in directive.text[1:]:
            following = script.lines[directive.line] if directive.line < len(script.lines) else ""
            ends = not following.lstrip().startswith("#") and following.strip()
            why = "sbatch does not join lines: the backslash is dropped"
            why += ", and the next line is a command, so that no further directive counts" if ends else ""
            yield Hit(directive.line, len(directive.text.rstrip()), why, "start the next line with #SBATCH instead")


def _safe_words(directive: Directive) -> tuple[Word, ...]:
    try:
        return directive.words()
    except Refusal:
        return ()


def _words(script: Script) -> Iterator[tuple[Directive, Word]]:
    for directive in script.directives:
        for word in _safe_words(directive):
            yield directive, word
