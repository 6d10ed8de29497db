"""Jobs that a script waits for: those that it would wait for in vain, and those that Slurm does not know.

What Slurm does was seen with 22.05: a condition that a finished job cannot meet any more leaves the new job pending
(DependencyNeverSatisfied); of a job that it has forgotten it takes every condition as met: the new one starts at once.
"""

import re
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess

from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.preflight.problem import Problem

Ask = Callable[[list[str]], CompletedProcess[str]]

_GOES_ON = {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "REQUEUED", "SUSPENDED", "STOPPED", "RESIZING"}
_CONDITION = re.compile(r"(afterok|afternotok|aftercorr|afterany|after)((?::\d+(?:_\d+|_\*)?(?:\+\d+)?)+)")


def check_dependencies(script: Script, ask: Ask) -> Iterator[Problem]:
    """Yield what is wrong with the jobs that a script waits for.

    Args:
        script: the script.
        ask: runs one of Slurm's programs.
    """
    setting = script.options.get("dependency")
    if not setting:
        return
    hopeless = []
    conditions = [
        (kind, job) for kind, jobs in _CONDITION.findall(setting.value) for job in re.findall(r":([\d_*]+)", jobs)
    ]
    for kind, job in conditions:
        states, remembered = _states(job.removesuffix("_*"), ask)
        why = _never(kind, states)
        if why and remembered:
            hopeless.append(f"{kind}:{job} cannot be met any more, because the job {why}")
        elif why or not states:
            known = f" ({why}, says sacct)" if why else ""
            what = f"--dependency: Slurm knows no job {job} (any more){known}; it would start the new one at once"
            yield Problem("slurm", what, "leave it out, or name a job that is there (squeue)", line=setting.line)
    if hopeless and ("?" not in setting.value or len(hopeless) == len(conditions)):  # `?` between them: one is enough
        what = f"--dependency: {'; '.join(hopeless)}; the new one would wait for ever"
        yield Problem("slurm", what, "submit the other job again and name that one", line=setting.line)


def _states(job: str, ask: Ask) -> tuple[set[str], bool]:
    """Return the states of a job (of all tasks of an array), and whether the controller still knows it."""
    shown = ask(["scontrol", "--oneliner", "show", "job", job])
    if not shown.returncode:
        return set(re.findall(r"\bJobState=([A-Z_]+)", shown.stdout)), True
    told = ask(["sacct", "-X", "--noheader", "--parsable2", "--format=State", f"--jobs={job}"])
    return {
        line.split()[0] for line in told.stdout.splitlines() if line.strip()
    } if not told.returncode else set(), False


def _never(kind: str, states: set[str]) -> str | None:
    """Return why a condition cannot be met any more by jobs in these states, None when it can or has been."""
    ended = states - _GOES_ON
    bad = ended - {"COMPLETED"}
    if kind in ("afterok", "aftercorr") and bad:
        return f"is {min(bad)}"
    if kind == "afternotok" and states == {"COMPLETED"}:
        return "is COMPLETED"
    return None
