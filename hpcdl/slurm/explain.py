"""What a reading of a batch script says, in words for people and as JSON for programs."""

from collections.abc import Callable
from typing import Any

from hpcdl.slurm.directives import Reading
from hpcdl.slurm.sbatch.request import Setting

_SECONDS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


def as_data(reading: Reading) -> dict[str, Any]:
    """Return a reading as plain data.

    Keys: `accepted`, `error` (a sentence or None), `error_line`, `options` (long name -> `value` as written, `line` or
    None, `source`: "script", "environment" or "command line", `origin`: how it was spelt there, `understood`: what
    `sbatch -v` prints for it), `warnings`, and for a heterogeneous job `components`, one such `options` each.
    """
    data: dict[str, Any] = {
        "accepted": reading.accepted,
        "error": reading.error.reason if reading.error else None,
        "error_line": reading.error.line if reading.error else None,
        "options": _options(reading.options),
        "warnings": list(reading.warnings),
    }
    if len(reading.components) > 1:
        data["components"] = [_options(component) for component in reading.components]
    return data


def _options(settings: dict[str, Setting]) -> dict[str, Any]:
    return {
        name: {
            "value": setting.value,
            "line": setting.line,
            "source": setting.source,
            "origin": setting.origin,
            "understood": setting.understood,
        }
        for name, setting in settings.items()
    }


def in_words(setting: Setting, options: dict[str, Setting]) -> str:
    """Return what an option means here, in a few words.

    Args:
        setting: the option.
        options: all options in force, for those whose meaning depends on others.
    """
    words = _WORDS.get(setting.name)
    if words is None:
        text = setting.value
    elif isinstance(words, str):
        text = words.format(value=setting.value, understood=setting.understood)
    else:
        text = words(setting, options)
    if setting.repeated and setting.name != "mail-type":
        lines = ", ".join(map(str, setting.repeated))
        text += f" (line {lines} said something else; the last one counts)"
    return text


def duration_in_words(shown: str) -> str:
    """Return `D-HH:MM:SS` in words: "1 day 2 hours"."""
    if shown == "UNLIMITED":
        return "no limit"
    days, _, clock = shown.rpartition("-")
    try:
        hours, minutes, seconds = map(int, clock.split(":"))
        total = int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds
    except ValueError:
        return shown
    parts = []
    for unit, size in _SECONDS.items():
        number, total = divmod(total, size)
        if number:
            parts.append(f"{number} {unit}{'s' if number != 1 else ''}")
    return " ".join(parts) or "0 seconds"


def size_in_words(shown: str) -> str:
    """Return what `sbatch -v` prints for a size with its unit: "16 MB", "4 GB"."""
    if shown == "0?":
        return "0"
    unit = shown[-1:] if shown[-1:].isalpha() else "M"
    return f"{shown.rstrip('GTP')} {unit}B"


def _time(setting: Setting, options: dict[str, Setting]) -> str:
    limit = duration_in_words(setting.understood or "")
    return "no limit of its own (the partition's limit counts)" if limit == "no limit" else f"at most {limit}"


def _memory(unit: str) -> Callable[[Setting, dict[str, Setting]], str]:
    def words(setting: Setting, options: dict[str, Setting]) -> str:
        size = size_in_words(setting.understood or "")
        if size == "0":
            return "all the memory of each node" if setting.name == "mem" else "no memory asked for"
        return f"{size} for each {unit}"

    return words


def _nodes(setting: Setting, options: dict[str, Setting]) -> str:
    shown = setting.understood or ""
    least, dash, most = shown.partition("-")
    if dash:
        return f"{least} to {most} nodes"
    return f"{least} node{'s' if least != '1' else ''}"


def _counted(thing: str) -> Callable[[Setting, dict[str, Setting]], str]:
    def words(setting: Setting, options: dict[str, Setting]) -> str:
        number = setting.understood or ""
        return f"{number} {thing if number == '1' else _plural(thing)}"

    return words


def _plural(thing: str) -> str:
    head, _, tail = thing.partition(" ")
    return f"{head}s {tail}".rstrip()


def _gres(setting: Setting, options: dict[str, Setting]) -> str:
    parts = [part.removeprefix("gres:") for part in (setting.understood or "").split(",") if part]
    words = []
    for part in parts:
        name, *rest = part.split(":")
        number = rest[-1] if rest and rest[-1][:1].isdigit() else "1"
        kind = f" of type {rest[0]}" if rest and not rest[0][:1].isdigit() else ""
        thing = ("GPU" if number == "1" else "GPUs") if name == "gpu" else name
        words.append(f"{number} {thing}{kind}")
    return f"{', '.join(words)} on each node" if words and parts != ["none"] else "no generic resource"


def _tasks_per_node(setting: Setting, options: dict[str, Setting]) -> str:
    if "ntasks" in options:
        return f"at most {setting.understood} tasks on each node (--ntasks counts)"
    return f"{setting.understood} tasks on each node"


def _signal(setting: Setting, options: dict[str, Setting]) -> str:
    shown = setting.understood or ""
    flags, colon, rest = shown.partition(":")
    name, _, seconds = (rest if colon else shown).partition("@")
    whom = "the batch script only" if "B" in (flags if colon else "") else "the job steps, not the batch script"
    return f"signal {name} to {whom}, {seconds or '60'} seconds before the time limit"


def _mail(setting: Setting, options: dict[str, Setting]) -> str:
    whom = options["mail-user"].value if "mail-user" in options else "the submitting user"
    return "no mail" if setting.understood == "NONE" else f"mail to {whom} on {setting.understood}"


def _export(setting: Setting, options: dict[str, Setting]) -> str:
    value = setting.value
    if value.upper() == "ALL":
        return "the whole environment of the submitting shell"
    if value.upper() == "NONE":
        return "nothing of the submitting shell's environment (and srun inherits this)"
    return f"only {value}; ALL is not among them" if "ALL" not in value.split(",") else f"everything and {value}"


def _array(setting: Setting, options: dict[str, Setting]) -> str:
    indices, _, most = setting.value.partition("%")
    return f"an array of jobs with the indices {indices}" + (f", at most {most} at a time" if most else "")


_WORDS: dict[str, str | Callable[[Setting, dict[str, Setting]], str]] = {
    "account": "charged to the account {value}",
    "array": _array,
    "begin": "not before {understood}",
    "chdir": "starts in {understood}",
    "cluster": "sent to the cluster {value}",
    "clusters": "sent to the cluster {value}",
    "comment": "a comment, nothing more",
    "constraint": "only nodes with the feature {value}",
    "contiguous": "nodes next to each other",
    "cores-per-socket": "nodes with at least {understood} cores a socket",
    "cpus-per-gpu": "{understood} CPUs for each GPU",
    "cpus-per-task": "{understood} CPUs for each task (srun of 22.05 to 23.02 must be told again)",
    "deadline": "removed if it cannot end before {understood}",
    "dependency": "waits for {value}",
    "distribution": "tasks laid out {understood}",
    "error": "standard error goes to {understood}",
    "exclude": "not on {value}",
    "exclusive": lambda setting, options: {
        "exclusive": "whole nodes, shared with nobody",
        "user": "nodes shared with jobs of the same user only",
        "mcs": "nodes shared within the MCS group only",
    }.get(setting.understood or "", "CPUs may be shared with other jobs"),
    "export": _export,
    "gpu-bind": "each task bound to GPUs by {value}",
    "gpus": "{value} GPUs for the whole job",
    "gpus-per-node": "{value} GPUs on each node",
    "gpus-per-socket": "{value} GPUs on each socket",
    "gpus-per-task": "{value} GPUs for each task; a task sees only its own",
    "gres": _gres,
    "hint": "bound for {value}",
    "hold": "held until `scontrol release`",
    "ignore-pbs": "#PBS and #BSUB lines are ignored",
    "input": "standard input comes from {understood}",
    "job-name": "called {value}",
    "kill-on-invalid-dep": "removed when its dependency can never be met: {understood}",
    "licenses": "needs the licences {value}",
    "mail-type": _mail,
    "mail-user": "mail goes to {value}",
    "mem": _memory("node"),
    "mem-per-cpu": _memory("CPU"),
    "mem-per-gpu": _memory("GPU"),
    "mincpus": "nodes with at least {understood} CPUs",
    "nice": "priority lowered by {understood}",
    "no-requeue": "not requeued after a node failure",
    "nodelist": "these nodes must be among its nodes: {understood}",
    "nodes": _nodes,
    "ntasks": _counted("task in all"),
    "ntasks-per-core": "at most {understood} tasks on each core",
    "ntasks-per-gpu": "{understood} tasks for each GPU",
    "ntasks-per-node": _tasks_per_node,
    "ntasks-per-socket": "at most {understood} tasks on each socket",
    "open-mode": lambda setting, options: (
        "logs are appended to" if setting.understood == "a" else "logs are overwritten"
    ),
    "output": "standard output goes to {understood}",
    "overcommit": "more tasks than CPUs allowed",
    "oversubscribe": "CPUs may be shared with other jobs",
    "partition": "in the partition {value}",
    "priority": "priority {value}",
    "qos": "quality of service {value}",
    "reboot": "nodes are rebooted first",
    "requeue": "may be requeued after a node failure",
    "reservation": "in the reservation {value}",
    "signal": _signal,
    "sockets-per-node": "nodes with at least {understood} sockets",
    "switches": "at most {understood} network switches (after @: how long to wait for it)",
    "test-only": "only tested, never submitted",
    "threads-per-core": "{understood} threads used on each core",
    "time": _time,
    "time-min": lambda setting, options: f"the limit may be cut down to {duration_in_words(setting.understood or '')}",
    "tmp": _memory("node's local disk"),
    "umask": "files are made with the umask {understood}",
    "wait": "sbatch returns when the job has ended",
    "wckey": "workload characterisation key {value}",
}
