"""GPUs and tasks that sbatch grants otherwise than they were meant."""

import re
from collections.abc import Iterator

from hpcdl.slurm.lint.finding import Hit, Level, rule
from hpcdl.slurm.lint.script import Script

_OWN_LAUNCHERS = re.compile(
    r"torchrun|torch\.distributed|accelerate launch|deepspeed|mpirun|mpiexec|horovodrun|ray start"
)


def _gpus_of_gres(script: Script) -> int | None:
    setting = script.options.get("gres")
    if not setting:
        return None
    counts = [part.split(":") for part in setting.value.removeprefix("gres:").split(",")]
    gpus = [int(part[-1]) if part[-1].isdigit() else 1 for part in counts if part[0] == "gpu"]
    return sum(gpus) if gpus else None


@rule("conflicting-gpus")
def conflicting_gpus(script: Script) -> Iterator[Hit]:
    """--gres=gpu together with --gpus-per-node: two answers to one question."""
    of_gres, per_node = _gpus_of_gres(script), script.options.get("gpus-per-node")
    if of_gres is None or per_node is None:
        return
    line, column = script.place("gpus-per-node")
    fatal = script.version >= (26, 5)  # commit 1a2bc58796 of SchedMD/slurm
    number = per_node.value.rpartition(":")[2]
    same = number == str(of_gres)
    why = (
        "sbatch refuses both together"
        if fatal
        else "sbatch takes both" + ("" if same else f": {of_gres} and {number} GPUs on a node")
    )
    level = Level.ERROR if fatal else Level.NOTE if same else Level.WARNING
    yield Hit(
        line,
        column,
        f"{why} (from Slurm 26.05 on it refuses that)" if not fatal else why,
        "leave one of the two out",
        level=level,
    )


@rule("gpus-per-node-not-job")
def gpus_per_node_not_job(script: Script) -> Iterator[Hit]:
    """--gres=gpu:N counts for each node: as many as all tasks of the job are too many."""
    gpus, nodes, tasks = _gpus_of_gres(script), script.number("nodes"), script.number("ntasks")
    if gpus and nodes and tasks and nodes > 1 and gpus == tasks and gpus > 1:
        line, column = script.place("gres")
        why = f"gpu:{gpus} is for each node, so {nodes} nodes make {gpus * nodes} GPUs for {tasks} tasks"
        yield Hit(line, column, why, f"write --gres=gpu:{max(1, gpus // nodes)}, or --gpus={gpus} for the whole job")


@rule("hidden-gpus", Level.NOTE)
def hidden_gpus(script: Script) -> Iterator[Hit]:
    """--gpus-per-task shows each task only its own GPUs."""
    setting = script.options.get("gpus-per-task")
    if setting:
        line, column = script.place("gpus-per-task")
        why = "each task sees its own GPUs only, numbered from 0: a GPU chosen by the local rank fails from rank 1 on"
        yield Hit(line, column, why, "use --gpus-per-node, or let every task take GPU 0")


@rule("one-task-per-node", Level.NOTE)
def one_task_per_node(script: Script) -> Iterator[Hit]:
    """Several GPUs or nodes and no number of tasks: srun starts one task on each node."""
    if any(
        name in script.options
        for name in ("ntasks", "ntasks-per-node", "ntasks-per-gpu", "ntasks-per-socket", "ntasks-per-core")
    ):
        return
    per_node = script.options.get("gpus-per-node")
    gpus = _gpus_of_gres(script) or (int(per_node.value) if per_node and per_node.value.isdigit() else 0)
    if gpus < 2 or any(_OWN_LAUNCHERS.search(command) for _, command in script.commands):
        return
    for line, arguments in script.calls("srun"):
        if not re.search(r"(^|\s)(-n|--ntasks|--ntasks-per-node|--tasks-per-node|--overlap|--pty)\b", arguments):
            why = f"no number of tasks is given: srun starts one task on each node, beside {gpus} GPUs"
            yield Hit(line, 1, why, f"write #SBATCH --ntasks-per-node={gpus}, if one task for each GPU is meant")
            return
