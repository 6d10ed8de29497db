"""What Slurm itself says, where there is one: --test-only, dependencies, arrays, the reservation, modules."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.preflight.dependency import check_dependencies
from hpcdl.slurm.preflight.problem import Problem

_PATIENCE_S = 30
_MODULE = re.compile(r"(?:module|ml)\s+(?:load|add)\s+(.+)")


def slurm_version() -> tuple[int, int] | None:
    """Return the version of the sbatch on this machine, None without one."""
    if not shutil.which("sbatch"):
        return None
    match = re.search(r"(\d+)\.(\d+)", _run(["sbatch", "--version"]).stdout)
    return (int(match.group(1)), int(match.group(2))) if match else None


def check_queue(script: Script, path: Path) -> Iterator[Problem]:
    """Yield what Slurm has against a script. Without a Slurm that answers nothing is said."""
    if not shutil.which("sbatch"):
        return
    answer = _run(["sbatch", "--test-only", str(path)])
    text = re.sub(r"^\w+: (error: )?", "", answer.stderr.strip().split("\n")[-1])
    if "Unable to contact" in answer.stderr or "Could not establish a configuration" in answer.stderr:
        yield Problem("slurm", "no Slurm answers here, so it was not asked", "check where you submit", stops=False)
        return
    if answer.returncode:
        yield Problem("slurm", f"sbatch --test-only refuses the script: {text}", "see `hpcdl explain`")
    yield from check_dependencies(script, _run)
    yield from _array(script)
    yield from _reservation(script)


def check_modules(script: Script, environment: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the modules that a script loads and that the module system of this machine does not know."""
    if "MODULEPATH" not in environment or any("module use" in command for _, command in script.commands):
        return
    for line, command in script.commands:
        match = _MODULE.match(command)
        for name in re.split(r"\s+", re.split(r"[;&|#]", match.group(1))[0].strip()) if match else ():
            if not re.fullmatch(r"[A-Za-z0-9._+/-]+", name) or name.startswith("-"):
                continue
            # `module` is a function of the login shell; the name is an argument, never part of the command.
            known = _run(["bash", "-lc", 'type module >/dev/null 2>&1 || exit 0; module is-avail "$1"', "bash", name])
            if known.returncode:
                what = f"there is no module {name} here"
                yield Problem("slurm", what, "see `module avail` and `module spider`", stops=False, line=line)


def _array(script: Script) -> Iterator[Problem]:
    setting = script.options.get("array")
    match = re.search(r"MaxArraySize\s*=\s*(\d+)", _run(["scontrol", "show", "config"]).stdout) if setting else None
    if not setting or not match:
        return
    highest = max(map(int, re.findall(r"(?<![:\d%])\d+", setting.value)), default=0)
    if highest >= int(match[1]):
        what = (
            f"--array: index {highest} is beyond {int(match[1]) - 1}, the highest that this Slurm takes (MaxArraySize)"
        )
        yield Problem("slurm", what, "cut the sweep into several jobs", line=setting.line)


def _reservation(script: Script) -> Iterator[Problem]:
    setting = script.options.get("reservation")
    if not setting:
        return
    answer = _run(["scontrol", "show", "reservation", setting.value])
    match = re.search(r"EndTime=(\S+)", answer.stdout)
    if answer.returncode or not match:
        yield Problem(
            "slurm", f"--reservation: there is no {setting.value} (any more)", "leave it out", line=setting.line
        )
        return
    try:
        end = time.mktime(time.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return
    if end < time.time():
        yield Problem(
            "slurm", f"--reservation: {setting.value} ended at {match.group(1)}", "leave it out", line=setting.line
        )


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's programs; one that does not answer in time counts as failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SBATCH_")}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"Unable to contact: {error}")
