"""What sbatch refuses. It stops at the first such mistake; so does the report, apart from the rules on single words."""

from collections.abc import Iterator
from difflib import get_close_matches

from hpcdl.slurm.lint.finding import RULES, Edit, Hit, Level, Rule
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.sbatch.options import OPTIONS, PLUGINS

# Name of the rule (the kind of refusal) -> what it finds, what to do.
_KINDS = {
    "empty-script": ("A script without any text.", "write the script"),
    "no-shebang": (
        "The first line does not start with `#!`.",
        "make #!/bin/bash the first line, with nothing before it",
    ),
    "nul-byte": ("A NUL byte in the script.", "save the script as plain UTF-8 text"),
    "dos-line-ends": ("DOS line ends (\\r\\n) anywhere in the script.", "turn them into Unix ones (dos2unix)"),
    "stray-colon": ("A word of a directive starts with a colon.", "write `#SBATCH --option=value` without a colon"),
    "open-quote": (
        "A quote in a directive is not closed on its line.",
        "close the quote, or put a backslash before it",
    ),
    "needless-value": (
        "A value for an option that takes none.",
        "leave the value out; leave the option out to switch it off",
    ),
    "unknown-option": ("An option that sbatch does not have.", "see `man sbatch`; some sites add options by a plugin"),
    "ambiguous-option": ("A shortened option that could be several.", "write the option's full name"),
    "stray-word": (
        "A word that belongs to no option.",
        "quote a value with blanks; write --option=value; start a comment with #",
    ),
    "missing-value": ("An option at the very end without its value.", "give the value"),
    "bad-time": (
        "A time that sbatch cannot read.",
        "write minutes, hours:minutes:seconds or days-hours:minutes:seconds",
    ),
    "bad-moment": ("A point in time that sbatch cannot read.", "write 2030-12-31T23:59, 16:00, tomorrow or now+2hours"),
    "bad-size": (
        "An amount of memory or disk that sbatch cannot read.",
        "write a whole number and K, M, G or T: 1500M, 16G",
    ),
    "bad-nodes": ("A node count that sbatch cannot read or satisfy.", "write a number, or LEAST-MOST"),
    "bad-value": ("Any other value that sbatch cannot read.", "write one of the allowed values"),
    "bad-gres": (
        "GPUs or other generic resources that do not exist or do not fit together.",
        "ask for GPUs in one way only",
    ),
    "missing-file": (
        "A file that sbatch reads while it submits is not there.",
        "give the path of a file that can be read",
    ),
    "clash": ("Options that exclude each other.", "leave one of them out"),
}


def _finder(kind: str, advice: str):  # type: ignore[no-untyped-def]
    def find(script: Script) -> Iterator[Hit]:
        error = script.reading.error
        if error is None or (error.rule or "bad-value") != kind:
            return
        line = error.line or (script.place(error.option)[0] if error.option else 1)
        column = script.place(error.option)[1] if error.option and script.place(error.option)[0] == line else 1
        yield Hit(
            line,
            column,
            f"sbatch refuses this: {error.reason}",
            _advice(kind, error.reason, advice),
            _edits(kind, script),
        )

    return find


for _name, (_summary, _advice_text) in _KINDS.items():
    RULES[_name] = Rule(_name, Level.ERROR, _summary, _finder(_name, _advice_text))


def _advice(kind: str, reason: str, advice: str) -> str:
    if kind == "unknown-option" and "--" in reason:
        wrong = reason.rpartition("--")[2].strip()
        near = get_close_matches(wrong, [option.name for option in OPTIONS], 1, 0.7)
        if near:
            return f"did you mean --{near[0]}?"
        if wrong in PLUGINS:
            return f"it is an option of a plugin ({PLUGINS[wrong]}) that not every site has"
    return advice


def _edits(kind: str, script: Script) -> tuple[Edit, ...]:
    """The fixes that change nothing but what sbatch stumbles over."""
    text = script.text
    if kind == "dos-line-ends":
        ends = [len(line) + script.offset(n) for n, line in enumerate(script.lines, 1) if line.endswith("\r")]
        return tuple(Edit(end - 1, end, "") for end in ends)
    if kind == "no-shebang":
        # A byte order mark or blank lines before a shebang that is there.
        begin = len(text) - len(text.lstrip("\ufeff \t\r\n"))
        return (Edit(0, begin, ""),) if begin and text.startswith("#!", begin) else ()
    return ()
