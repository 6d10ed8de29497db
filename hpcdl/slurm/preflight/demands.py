"""What a batch script demands, in numbers, whichever of sbatch's options say it."""

import re
from dataclasses import dataclass

from hpcdl.slurm.directives import Reading
from hpcdl.slurm.lint.script import Script
from hpcdl.slurm.sbatch.durations import UNLIMITED, minutes

_OWN_LAUNCHERS = re.compile(r"torchrun|torch\.distributed|accelerate launch|deepspeed|horovodrun|ray start")


@dataclass(frozen=True, slots=True)
class Demands:
    """None is "not said".

    Attributes:
        nodes: the least number of nodes.
        tasks_per_node: Slurm tasks on each node.
        gpus_per_node: GPUs on each node.
        time_s: the time limit in seconds.
        gpu_options: the options that ask for GPUs.
        starts_own_processes: whether a launcher such as torchrun starts the processes, so that tasks are no ranks.
    """

    nodes: int | None
    tasks_per_node: int | None
    gpus_per_node: int | None
    time_s: int | None
    gpu_options: tuple[str, ...]
    starts_own_processes: bool


def demands_of(script: Script) -> Demands:
    """Return what a script demands."""
    reading = script.reading
    nodes = _number(reading, "nodes")
    tasks, per_node = _number(reading, "ntasks"), _number(reading, "ntasks-per-node")
    if per_node is None and tasks is not None and tasks % (nodes or 1) == 0:
        per_node = tasks // (nodes or 1)
    gpus = _gpus(reading, nodes, per_node)
    time = reading.options.get("time")
    limit = minutes(time.value) if time and reading.accepted else None
    names = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")
    asking = tuple(name for name in names if name in reading.options and (name != "gres" or gpus))
    return Demands(
        nodes=nodes,
        tasks_per_node=per_node,
        gpus_per_node=gpus,
        time_s=None if limit in (None, UNLIMITED) else limit * 60,  # type: ignore[operator]
        gpu_options=asking,
        starts_own_processes=any(_OWN_LAUNCHERS.search(command) for _, command in script.commands),
    )


def _number(reading: Reading, option: str) -> int | None:
    setting = reading.options.get(option)
    match = re.match(r"\d+", setting.understood or "") if setting else None
    return int(match.group()) if match else None


def _gpus(reading: Reading, nodes: int | None, tasks_per_node: int | None) -> int | None:
    options = reading.options
    if "gpus-per-node" in options:
        return _count(options["gpus-per-node"].value)
    if "gres" in options:
        parts = [part for part in options["gres"].value.removeprefix("gres:").split(",") if part.split(":")[0] == "gpu"]
        return sum(_count(part.partition(":")[2]) for part in parts) if parts else None
    if "gpus-per-task" in options and tasks_per_node:
        return _count(options["gpus-per-task"].value) * tasks_per_node
    if "gpus" in options:
        total = _count(options["gpus"].value)
        return total // (nodes or 1) if total % (nodes or 1) == 0 else None
    return None


def _count(text: str) -> int:
    """Read `4`, `a100:4` or `a100` (one)."""
    number = text.rpartition(":")[2]
    return int(number) if number.isdigit() else 1
