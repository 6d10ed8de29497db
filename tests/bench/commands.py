"""How fast the commands of a login node start beside a bare Python, and how fast the linter is."""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from harness import in_turns, spread, table
from lint_speed import TYPICAL
from processes import run
from startup_speed import COMMANDS, make_folder

TITLE = "Commands of a login node"
SCRIPTS = 10_000


def measure(quick: bool) -> dict[str, Any]:
    """Run each command in turns, and lint one typical script over and over."""
    with tempfile.TemporaryDirectory() as name:
        folder = make_folder(Path(name))
        sides = {command: partial(_seconds, words, folder) for command, words in COMMANDS.items()}
        started_s = in_turns(sides, 1 if quick else 11)
    lint = [_lint(SCRIPTS // 100 if quick else SCRIPTS) for _ in range(1 if quick else 3)]
    return {"started_s": started_s, "scripts_per_s": lint}


def _seconds(words: list[str], folder: Path) -> float:
    return round(run(["env", "-C", str(folder), sys.executable, *words]).wall_s, 4)


def _lint(number: int) -> float:
    from hpcdl.slurm.directives import read_script
    from hpcdl.slurm.lint import check

    surroundings = check.bare((22, 5))
    assert read_script(TYPICAL, (), surroundings)
    began = time.perf_counter()
    for _ in range(number):
        check.lint(TYPICAL, (22, 5), surroundings)
    return round(number / (time.perf_counter() - began), 1)


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    rows = [[f"`{name}`", len(each), spread(each, 3)] for name, each in found["started_s"].items()]
    text = table(["command", "n", "seconds, whole program"], rows)
    rates = found["scripts_per_s"]
    return f"{text}\n`hpcdl lint` reads and checks {spread(rates)} scripts of 30 lines a second (n = {len(rates)}).\n"


plot = None
