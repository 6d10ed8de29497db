"""The script's own commands, where they work against the directives above them."""

import re
from collections.abc import Iterator

from hpcdl.slurm.lint.finding import Hit, Level, rule
from hpcdl.slurm.lint.script import Script

_CHATTER = re.compile(r"(echo|printf|date|exit 0|true|sleep|hostname|scontrol show|sacct|seff|squeue|ls|wait$)\b")
_STRICT = re.compile(r"set -[a-df-z]*e|set -o errexit|#!.*\s-\w*e")


@rule("export-none")
def export_none(script: Script) -> Iterator[Hit]:
    """--export=NONE with a plain srun, whose tasks then start without an environment."""
    setting = script.options.get("export")
    if not setting or setting.value.upper() != "NONE":
        return
    if any("SLURM_EXPORT_ENV" in command for _, command in script.commands):
        return
    for line, arguments in script.calls("srun"):
        if "--export" not in arguments:
            why = "srun inherits --export=NONE: its tasks get no PATH and nothing that the script set"
            yield Hit(line, 1, why, "write srun --export=ALL, or `unset SLURM_EXPORT_ENV` before it")
            return


@rule("srun-export")
def srun_export(script: Script) -> Iterator[Hit]:
    """`srun --export=A=1` drops every other variable."""
    for line, arguments in script.calls("srun"):
        match = re.search(r"--export[= ](\S+)", arguments)
        if match and "=" in match.group(1) and "ALL" not in match.group(1).strip("'\"").split(","):
            why = "srun passes on these variables only; PATH and the loaded modules are lost"
            yield Hit(line, 1, why, f"write --export=ALL,{match.group(1)}")


@rule("srun-cpus", Level.NOTE)
def srun_cpus(script: Script) -> Iterator[Hit]:
    """srun does not inherit --cpus-per-task in Slurm 22.05 to 23.02."""
    cpus = script.number("cpus-per-task")
    if not cpus or cpus < 2 or not (22, 5) <= script.version < (23, 11):  # changelogs of 22.05 and 23.11
        return
    if any("SRUN_CPUS_PER_TASK" in command for _, command in script.commands):
        return
    for line, arguments in script.calls("srun"):
        if not re.search(r"(^|\s)(-c|--cpus-per-task|--cpus-per-gpu)", arguments):
            why = "srun of Slurm 22.05 to 23.02 does not inherit --cpus-per-task: each task gets one CPU"
            yield Hit(line, 1, why, "write srun --cpus-per-task=$SLURM_CPUS_PER_TASK; it is right in every version")
            return


@rule("hidden-failure", Level.NOTE)
def hidden_failure(script: Script) -> Iterator[Hit]:
    """A last command that always succeeds, so that a failed job counts as completed."""
    if len(script.commands) < 2 or any(_STRICT.match(command) for _, command in script.commands):
        return
    if _STRICT.match(script.lines[0]) or any(re.search(r"\bexit\s+\$", command) for _, command in script.commands):
        return
    line, last = script.commands[-1]
    if _CHATTER.match(last) and any(
        re.match(r"(srun|mpirun|mpiexec|python)", command) for _, command in script.commands
    ):
        why = "the job's exit code is that of this last command: Slurm reports COMPLETED when the work before it failed"
        yield Hit(line, 1, why, "write `set -e` at the top, or keep the code: `rc=$?; ...; exit $rc`")


def _trapped(script: Script) -> Iterator[tuple[int, str]]:
    for line, command in script.commands:
        match = re.match(r"trap\s+(?:\S+|'[^']*'|\"[^\"]*\")\s+(.+)", command)
        if match:
            for name in match.group(1).split():
                yield line, name.upper().removeprefix("SIG")


@rule("signal-to-steps")
def signal_to_steps(script: Script) -> Iterator[Hit]:
    """--signal without `B:` and a trap in the script: the signal never reaches the script."""
    setting = script.options.get("signal")
    if not setting or (setting.understood or "").partition(":")[0] in ("B", "RB"):
        return
    name = (setting.understood or "").rpartition(":")[2].partition("@")[0]
    for line, trapped in _trapped(script):
        if trapped == name:
            at, column = script.place("signal")
            why = f"without B: the signal goes to the job steps; the trap in line {line} never runs"
            yield Hit(at, column, why, f"write --signal=B:{setting.value.rpartition(':')[2]}")
            return


@rule("trap-too-late")
def trap_too_late(script: Script) -> Iterator[Hit]:
    """A trap for the batch signal while the work runs in the foreground: the shell runs it when the work has ended."""
    setting = script.options.get("signal")
    flags, colon, rest = (setting.understood or "").partition(":") if setting else ("", "", "")
    if not colon or "B" not in flags or not any(name == rest.partition("@")[0] for _, name in _trapped(script)):
        return
    for line, command in script.commands:
        if re.match(r"(srun|mpirun|mpiexec|python\S*)\s", command) and not command.rstrip().endswith("&"):
            why = "bash runs a trap only when the command in the foreground has ended, which is too late"
            yield Hit(line, 1, why, "start the work with & and wait for it: `srun ... & wait $!`")
            return


@rule("requeue-array")
def requeue_array(script: Script) -> Iterator[Hit]:
    """`scontrol requeue $SLURM_JOB_ID` in an array job, which may requeue more than the one task."""
    if "array" not in script.options:
        return
    for line, command in script.commands:
        if re.search(r"scontrol\s+requeue\s+\"?\$\{?SLURM_JOB_?ID\b", command):
            why = "in an array this number may stand for the whole array"
            yield Hit(line, 1, why, "write scontrol requeue ${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}")


@rule("late-mkdir", Level.NOTE)
def late_mkdir(script: Script) -> Iterator[Hit]:
    """The log's folder is made by the script itself, which is too late before Slurm 23.02."""
    if script.version >= (23, 2):  # its release notes: folders of output files are made
        return
    folders = {}
    for name in ("output", "error"):
        setting = script.options.get(name)
        if setting and "/" in setting.value.strip("/"):
            folders[setting.value.rpartition("/")[0].removeprefix("./")] = name
    for line, command in script.commands:
        match = re.match(r"mkdir\s+(?:-\S+\s+)*(.+)", command)
        for made in match.group(1).split() if match else ():
            stream = folders.get(made.strip("'\"").removeprefix("./").rstrip("/"))
            if stream:
                why = f"Slurm opens the file of --{stream} before the script starts: no folder, no job and no log"
                yield Hit(line, 1, why, "make the folder before you submit")
                return
