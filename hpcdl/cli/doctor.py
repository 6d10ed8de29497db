"""`hpcdl doctor`: is the environment fit for data-parallel training?"""

from enum import Enum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hpcdl.doctor import Check


class Format(str, Enum):
    """How the checks are printed."""

    table = "table"
    json = "json"


def doctor(
    format: Format = typer.Option(Format.table, "--format", help="A table for people, or a JSON list of objects."),
) -> None:
    """Check the environment: versions, MPI, Horovod, GPUs, a sum over two ranks. Exit code 1 if anything is wrong."""
    from rich.console import Console

    from hpcdl.doctor import examine

    # Shown to a person at a terminal only.
    with Console(stderr=True).status("importing the packages, then summing over two ranks (about 10 s)"):
        checks = examine()
    if format is Format.json:
        _print_json(checks)
    else:
        _print_table(checks)
    if any(check.problem for check in checks):
        raise typer.Exit(1)


def _print_json(checks: "list[Check]") -> None:
    import json
    from dataclasses import asdict

    print(json.dumps([{**asdict(check), "ok": check.problem is None} for check in checks], indent=2))


def _print_table(checks: "list[Check]") -> None:
    from rich.console import Console

    width = max(len(check.name) for check in checks)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for check in checks:
        mark, style = ("ok  ", "green") if check.problem is None else ("FAIL", "bold red")
        console.print(mark, style=style, end="  ")
        console.print(f"{check.name:<{width}}  {check.found}")
        if check.problem:
            console.print(f"      {check.problem}")
