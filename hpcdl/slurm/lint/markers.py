"""Lines that look like directives and that sbatch does not read as such."""

import re
from collections.abc import Iterator

from hpcdl.slurm.lint.finding import Edit, Hit, Level, rule
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.sbatch import getopt
from hpcdl.slurm.sbatch.options import TABLE
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.words import split_words

# A directive in intention: after the marker a dash and a letter, or two dashes.
_OPTION_FOLLOWS = r"(?=[ \t]*-{1,2}[A-Za-z])"
_MARKER = re.compile(rf"^([ \t]*)(#+)!?([ \t]*)([A-Za-z]+):?{_OPTION_FOLLOWS}")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _slips(word: str) -> frozenset[str]:
    """Every word that one slip of the finger makes of a word: a letter lost, doubled, wrong, or two swapped."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    lost = {a + b[1:] for a, b in cuts if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    wrong = {a + letter + b[1:] for a, b in cuts if b for letter in _LETTERS}
    added = {a + letter + b for a, b in cuts for letter in _LETTERS}
    return frozenset(lost | swapped | wrong | added) - {word}


# Two slips of these are met in the wild as well: #SABTCH is one swap, #SBACTH too, #SBTCH a loss.
_MISSPELT = _slips("SBATCH") | {"SBTACH", "SABTHC", "SBATHC", "SBTHC", "SLRUM", "SULRM", "SLUM"}


@rule("late-directive")
def late_directive(script: Script) -> Iterator[Hit]:
    """A directive below the first command, where sbatch no longer reads."""
    if script.first_command is None:
        return
    for number, line in script.body:
        if line.startswith("#SBATCH") and _reads(line, len("#SBATCH")):
            why = f"sbatch stops to read at the first command, in line {script.first_command}; this line does nothing"
            yield Hit(number, 1, why, f"move it above line {script.first_command}")


@rule("unread-marker")
def unread_marker(script: Script) -> Iterator[Hit]:
    """A directive whose `#SBATCH` has blanks, small letters or a second `#`."""
    for number, line in _head(script):
        match = _MARKER.match(line)
        if not match or match.group(4).upper() != "SBATCH" or line.startswith(("#SBATCH", "#!")):
            continue
        if match.group(3) and match.group(4) != "SBATCH":  # "# sbatch --time=5 \\" shows a command
            continue
        if not _reads(line, match.end(), whole=True):  # "#sbatch -N1 job.sh" is a command
            continue
        indent, hashes, blanks, _ = match.groups()
        edit = Edit(script.offset(number), script.offset(number, match.end() + 1), "#SBATCH")
        edits: tuple[Edit, ...] = (edit,)
        level = Level.WARNING
        if len(hashes) > 1 or blanks:
            # A second # is the usual way to switch a directive off, a blank is one or a slip: nothing to mend unasked.
            deliberate = len(hashes) > 1 or _names(line, match.end()) & set(script.options)
            level, edits = Level.NOTE if deliberate else Level.WARNING, ()
        how = "second #" if len(hashes) > 1 else "blank" if blanks or indent else "small letters"
        why = f"only a line that starts with #SBATCH counts; the {how} makes this line a comment"
        yield Hit(number, 1, why, "write #SBATCH at the start of the line, if the option is meant", edits, level)


@rule("misspelt-marker")
def misspelt_marker(script: Script) -> Iterator[Hit]:
    """A directive whose `#SBATCH` is misspelt, such as `#SBTACH`."""
    for number, line in _head(script):
        match = _MARKER.match(line)
        is_slip = match and (match.group(4).upper() in _MISSPELT or match.group(0).startswith("#!SBATCH"))
        if not match or not is_slip or len(match.group(2)) > 1:
            continue
        edit = Edit(script.offset(number), script.offset(number, match.end() + 1), "#SBATCH")
        edits = (edit,) if _reads(line, match.end(), whole=True) else ()
        yield Hit(number, 1, f"{match.group(0).strip()} is a comment for sbatch", "write #SBATCH", edits)


@rule("slurm-marker")
def slurm_marker(script: Script) -> Iterator[Hit]:
    """A directive that starts with `#SLURM`: obeyed, but sbatch asks for `#SBATCH`."""
    for directive in script.directives:
        if directive.marker == "#SLURM" and directive.text[6:7] in ("", " ", "\t", "-"):
            edit = Edit(script.offset(directive.line), script.offset(directive.line, 7), "#SBATCH")
            why = "sbatch obeys #SLURM with an error message and asks for #SBATCH"
            yield Hit(directive.line, 1, why, "write #SBATCH", (edit,))


@rule("pbs-obeyed", Level.NOTE)
def pbs_obeyed(script: Script) -> Iterator[Hit]:
    """#PBS or #BSUB lines, which sbatch obeys as well, after the #SBATCH lines."""
    foreign = [directive for directive in script.reading.directives if directive.marker in ("#PBS", "#BSUB")]
    if not foreign:
        return
    own = {given.option.key: given for given in script.given}
    lost = [s for s in script.options.values() if s.origin.startswith(("#PBS", "#BSUB")) and s.name in own]
    marker = foreign[0].marker
    if lost:
        names = ", ".join(f"--{setting.name}" for setting in lost)
        why = f"sbatch obeys {marker} lines too, after #SBATCH: here they set {names} anew"
        yield Hit(
            lost[0].line or 1, 1, why, f"leave the {marker} lines out, or add #SBATCH --ignore-pbs", level=Level.WARNING
        )
    else:
        why = f"sbatch obeys {marker} lines in its own way (see `hpcdl explain`)"
        yield Hit(foreign[0].line, 1, why, "write #SBATCH lines; #SBATCH --ignore-pbs switches these off")


def _head(script: Script) -> list[tuple[int, str]]:
    """The lines that sbatch looks at, with their numbers."""
    end = script.first_command - 1 if script.first_command else len(script.lines)
    return list(enumerate(script.lines[:end], 1))


def _reads(line: str, start: int, whole: bool = False) -> bool:
    """Whether the rest of a line (`whole`: all of it) reads as options of sbatch, so that prose is no directive."""
    found = False
    try:
        for _ in getopt.parse(split_words(line, start, 1), TABLE):
            found = True
    except Refusal:
        return found and not whole
    return found


def _names(line: str, start: int) -> set[str]:
    names = set()
    try:
        for given in getopt.parse(split_words(line, start, 1), TABLE):
            names.add(given.option.key)
    except Refusal:
        pass
    return names
