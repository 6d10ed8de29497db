"""`hpcdl explain` and `hpcdl lint`: what sbatch makes of a batch script, and what it lets through in silence."""

import sys
from enum import Enum
from pathlib import Path

import typer

_WIDTH = 140  # of a table in a file or a pipe


class ExplainFormat(str, Enum):
    """How `hpcdl explain` answers."""

    TEXT = "text"
    JSON = "json"


def explain(
    script: Path = typer.Argument(..., help="The batch script."),
    options: list[str] = typer.Argument(None, metavar="[-- OPTIONS]", help="Options of sbatch's command line."),
    format: ExplainFormat = typer.Option(ExplainFormat.TEXT, "--format", help="A table for people, or JSON."),
    slurm: str = typer.Option("22.05", "--slurm", metavar="VERSION", help="Slurm's version, 22.05 to 26.05."),
) -> None:
    """Print what Slurm will understand: each option, its value, what it means here, and the line it comes from.

    Exit code: 0 when sbatch would accept the script, 1 when it would refuse it, 2 when it cannot be read.
    """
    from hpcdl.slurm import directives
    from hpcdl.slurm.versions import parse_version

    surroundings = directives.here(parse_version(slurm))
    reading = directives.read_script(directives.load_script(script), options or [], surroundings)
    if format is ExplainFormat.JSON:
        import json

        from hpcdl.slurm.explain import as_data

        print(json.dumps(as_data(reading), indent=2))
    else:
        _print_table(script, reading)
    raise typer.Exit(0 if reading.accepted else 1)


def _print_table(script: Path, reading) -> None:  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from hpcdl.slurm.explain import in_words

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    for number, options in enumerate(reading.components, 1):
        title = f"component {number} of a heterogeneous job" if len(reading.components) > 1 else None
        table = Table("option", "value", "what it means here", "from", title=title, box=None, pad_edge=False)
        for name, setting in options.items():
            place = f"line {setting.line}" if setting.line else f"{setting.source}: {setting.origin}"
            if setting.origin.startswith("#"):
                place += f", {setting.origin}"
            words = in_words(setting, options)
            table.add_row(f"--{name}", escape(printable(setting.value)), escape(printable(words)), escape(place))
        console.print(table if options else "no options: sbatch would use the cluster's defaults")
    for warning in reading.warnings:
        print(f"note: {warning}")
    if reading.error:
        place = f"{script}:{reading.error.line}" if reading.error.line else str(script)
        print(f"sbatch would refuse this script: {place}: {printable(reading.error.reason)}")


def printable(text: str) -> str:
    """Return the text with control characters and broken UTF-8 written as escapes, so that a terminal stays whole."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class LintFormat(str, Enum):
    """How `hpcdl lint` answers."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def lint(
    scripts: list[Path] = typer.Argument(None, metavar="SCRIPT...", help="Batch scripts."),
    fix: bool = typer.Option(False, "--fix", help="Mend what can be mended safely, in place."),
    format: LintFormat = typer.Option(LintFormat.TEXT, "--format", help="Text, JSON, SARIF or GitHub's annotations."),
    explain: str = typer.Option(None, "--explain", metavar="RULE", help="Say what a rule finds, and why."),
    slurm: str = typer.Option("22.05", "--slurm", metavar="VERSION", help="Slurm's version, 22.05 to 26.05."),
) -> None:
    """Find what sbatch would refuse, and what it would accept with another meaning.

    Exit code: 0 when there is nothing but notes, 1 when there are findings, 2 when a script cannot be read.
    """
    from hpcdl.errors import HpcdlError
    from hpcdl.files import write_atomically
    from hpcdl.slurm.directives import load_script
    from hpcdl.slurm.lint import check, report
    from hpcdl.slurm.versions import parse_version

    if explain:
        print(report.explain_rule(explain))
        return
    if not scripts:
        raise HpcdlError("name at least one batch script")
    version = parse_version(slurm)
    surroundings = check.bare(version)
    results, unreadable = [], []
    for path in scripts:
        try:
            data = load_script(path)
            if fix and (mended := check.mend(data, version, surroundings)) != data:
                write_atomically(path.resolve(), mended)
                data = mended
            results.append((str(path), check.lint(data, version, surroundings)))
        except HpcdlError as error:
            unreadable.append(str(error))
    text = report.write(format.value, results)
    if text:
        print(text)
    for sentence in unreadable:
        print(f"error: {sentence}", file=sys.stderr)
    found = any(check.counts(findings) for _, findings in results)
    raise typer.Exit(2 if unreadable else 1 if found else 0)
