"""What must lie on this machine's file systems: folders of logs, the working directory, interpreter, environment."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.preflight.problem import Problem

_ACTIVATE = re.compile(r"(?:source|\.)\s+(.+/bin/activate)\b")
# Before 23.02 a missing folder ends the job with no log; since then Slurm makes it (release notes of 23.02).
_MAKES_FOLDERS = (23, 2)


def check_place(script: Script, folder: Path, version: tuple[int, int]) -> Iterator[Problem]:
    """Yield what is missing on this machine.

    Args:
        script: the script.
        folder: where sbatch is called.
        version: Slurm's version.
    """
    chdir = script.options.get("chdir")
    start = folder / chdir.value if chdir else folder
    if chdir and not start.is_dir():
        yield Problem(
            "place", f"--chdir: {start} is no folder; the job fails at once", "make the folder", line=chdir.line
        )
    yield from _logs(script, start, version)
    yield from _interpreter(script)
    yield from _environment(script, start)


def _logs(script: Script, start: Path, version: tuple[int, int]) -> Iterator[Problem]:
    seen = set()
    for name in ("output", "error"):
        setting = script.options.get(name)
        if not setting or "/" not in setting.value:
            continue
        folder = start / setting.value.rpartition("/")[0]
        if "%" in str(folder) or folder in seen or str(folder) == "/":
            continue
        seen.add(folder)
        if folder.is_dir():
            if not os.access(folder, os.W_OK):
                yield Problem(
                    "place", f"--{name}: {folder} is not writable for you", "choose another", line=setting.line
                )
        elif version < _MAKES_FOLDERS:
            what = f"--{name}: the folder {folder} does not exist; the job would die with no log (ExitCode=0:53)"
            yield Problem("place", what, f"mkdir -p {shlex.quote(str(folder))}", line=setting.line)


def _interpreter(script: Script) -> Iterator[Problem]:
    words = script.lines[0].removeprefix("#!").split()
    if words and words[0].startswith("/") and not os.access(words[0], os.X_OK):
        what = f"the interpreter {words[0]} of the first line is not on this machine"
        yield Problem("place", what, "write the path of one that the compute nodes have, such as #!/bin/bash", line=1)


def _environment(script: Script, start: Path) -> Iterator[Problem]:
    for line, command in script.commands:
        match = _ACTIVATE.search(command)
        if not match:
            continue
        path = match.group(1).strip("'\"")
        if "$" in path or "`" in path:
            continue
        if not (start / Path(path).expanduser()).is_file():
            what = f"the Python environment {path} does not exist"
            yield Problem("place", what, "create it, or correct the path (hpcdl: `venv:` in your settings)", line=line)
