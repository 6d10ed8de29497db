"""Values that sbatch accepts and that mean something else than they look like."""

import re
from collections.abc import Iterator

from hpcdl.slurm.explain import duration_in_words
from hpcdl.slurm.lint.finding import Hit, Level, rule
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.sbatch.notices import MAIL_TYPES

_WHOLE_DAYS = (12, 24, 36, 48, 72, 96, 120, 144, 168)


@rule("minutes-not-hours")
def minutes_not_hours(script: Script) -> Iterator[Hit]:
    """A time limit in minutes that looks like hours: `--time=24:00` is 24 minutes."""
    setting = script.options.get("time")
    match = re.fullmatch(r"(\d+)(:00)?", setting.value) if setting and setting.source == "script" else None
    if not match or not setting:
        return
    number = int(match.group(1)[:9])
    if number in _WHOLE_DAYS:
        level = Level.WARNING if match.group(2) else Level.NOTE
    elif match.group(2) and 0 < number < 10:
        level = Level.NOTE
    else:
        return
    line, column = script.place("time")
    unit = "minutes:seconds" if match.group(2) else "minutes"
    why = f"{setting.value} means {duration_in_words(setting.understood or '')}, being read as {unit}"
    yield Hit(line, column, why, f"write {number}:00:00 for hours, 00:{number:02d}:00 for minutes", level=level)


@rule("no-time-limit")
def no_time_limit(script: Script) -> Iterator[Hit]:
    """`--time=0` or UNLIMITED: no limit at all, not the shortest one."""
    setting = script.options.get("time")
    if setting and setting.understood == "UNLIMITED":
        line, column = script.place("time")
        why = f"{setting.value} means no time limit; where the partition has one, the job may wait for ever"
        yield Hit(line, column, why, "write the time the job needs")


@rule("small-memory")
def small_memory(script: Script) -> Iterator[Hit]:
    """An amount of memory without a unit that is tiny in megabytes: `--mem=16` is 16 MB."""
    for name in ("mem", "mem-per-cpu", "mem-per-gpu", "tmp"):
        setting = script.options.get(name)
        if not setting or not re.fullmatch(r"\d{1,4}", setting.value) or not 0 < int(setting.value) < 1000:
            continue
        line, column = script.place(name)
        level = Level.WARNING if int(setting.value) < 100 else Level.NOTE
        why = f"--{name}={setting.value} is {setting.value} MB"
        yield Hit(line, column, why, f"write {setting.value}G for GB, {setting.value}M if MB is meant", level=level)


@rule("all-memory", Level.NOTE)
def all_memory(script: Script) -> Iterator[Hit]:
    """`--mem=0`: all the memory of each node."""
    setting = script.options.get("mem")
    if setting and setting.understood == "0?":
        line, column = script.place("mem")
        yield Hit(line, column, "--mem=0 asks for all the memory of each node", "leave it if that is meant")


@rule("unknown-mail-type")
def unknown_mail_type(script: Script) -> Iterator[Hit]:
    """A word in --mail-type that sbatch does not know and silently leaves out."""
    known = {*MAIL_TYPES, "ALL", "NONE"}
    for given in script.given:
        if given.option.name != "mail-type":
            continue
        words = [word for word in (given.value or "").split(",") if word]
        wrong = [word for word in words if word.upper() not in known]
        if wrong and len(wrong) < len(words):
            why = f"sbatch ignores {', '.join(map(repr, wrong))}"
            yield Hit(given.word.line, given.word.column, why, f"choose among {', '.join(sorted(known))}")


@rule("more-nodes-than-tasks")
def more_nodes_than_tasks(script: Script) -> Iterator[Hit]:
    """More nodes than tasks; sbatch asks for fewer nodes."""
    for warning in script.reading.warnings:
        if "tasks cannot use" in warning:
            line, column = script.place("nodes")
            yield Hit(line, column, warning, "ask for as many tasks as nodes, at least")


@rule("tasks-disagree")
def tasks_disagree(script: Script) -> Iterator[Hit]:
    """More tasks than --nodes times --ntasks-per-node; --ntasks wins."""
    tasks, nodes, per_node = (script.number(name) for name in ("ntasks", "nodes", "ntasks-per-node"))
    if tasks and nodes and per_node and tasks > nodes * per_node:
        line, column = script.place("ntasks-per-node")
        why = f"{nodes} nodes with {per_node} tasks each hold {nodes * per_node} tasks, --ntasks asks for {tasks}"
        yield Hit(line, column, f"{why}; --ntasks wins and the job is refused or waits", "leave --ntasks out")


@rule("het-array")
def het_array(script: Script) -> Iterator[Hit]:
    """An array of heterogeneous jobs, which Slurm does not support."""
    if len(script.reading.components) > 1 and any("array" in component for component in script.reading.components):
        line, column = script.place("array")
        yield Hit(line, column, "Slurm has no arrays of heterogeneous jobs", "submit the jobs one by one")
