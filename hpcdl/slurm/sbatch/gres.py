"""Generic resources: what sbatch itself checks of --gres and the GPU options (gres_job_state_validate() of gres.c)."""

from dataclasses import dataclass

from hpcdl.slurm.sbatch.configuration import Configuration
from hpcdl.slurm.sbatch.numbers import LONG_MAX, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal

_MULTIPLES = {"": 1}
for _power, _letter in enumerate("kmgtp", 1):
    _MULTIPLES |= {_letter: 1024**_power, f"{_letter}ib": 1024**_power, f"{_letter}b": 1000**_power}


@dataclass(slots=True)
class Shape:
    """The counts that the check compares and fills in; None is "not asked for"."""

    ntasks: int | None
    min_nodes: int | None
    max_nodes: int | None
    ntasks_per_node: int | None
    ntasks_per_socket: int | None
    sockets_per_node: int | None
    cpus_per_task: int | None
    ntasks_per_gpu: int | None


@dataclass(slots=True)
class Asked:
    """What was asked of one resource of one type; 0 is "nothing"."""

    name: str
    type: str | None
    per_job: int = 0
    per_node: int = 0
    per_socket: int = 0
    per_task: int = 0
    cpus_per: int = 0
    mem_per: int = 0
    total: int = 0
    ntasks_per: int | None = None


def add_prefix(text: str) -> str:
    """Return --gres the way sbatch keeps it: `gpu:4,nvme` becomes `gres:gpu:4,gres:nvme`."""
    return f"gres:{text}".replace(",", ",gres:").replace("gres:gres:", "gres:")


def per_gpu(text: str | None) -> str:
    """Return a GPU option (`a100:2,2`) in the words of --gres."""
    return ",".join(f"gres:gpu:{part}" for part in (text or "").split(",") if part)


def check(requests: dict[str, str], shape: Shape, configuration: Configuration, forgiving: bool = False) -> None:
    """Make sbatch's own check.

    Args:
        requests: what is asked for, in the words of --gres, under "per_job", "per_node", "per_socket", "per_task",
            "cpus_per" and "mem_per".
        shape: nodes, tasks and CPUs; the counts that follow from the request are filled in.
        configuration: the facts of slurm.conf.
        forgiving: whether to let pass the names that only some sites have.

    Raises:
        Refusal: a resource is unknown, or the numbers do not fit together.
    """
    fixed_nodes = shape.min_nodes is not None and shape.min_nodes == shape.max_nodes
    if (requests["per_task"] or shape.ntasks_per_gpu is not None) and shape.ntasks is None and fixed_nodes:
        assert shape.min_nodes is not None
        if shape.ntasks_per_gpu is not None:
            shape.ntasks = shape.min_nodes * shape.ntasks_per_gpu % 2**32
        elif shape.ntasks_per_node is not None:
            shape.ntasks = shape.min_nodes * shape.ntasks_per_node % 2**32
        elif shape.cpus_per_task is None:
            shape.ntasks = shape.min_nodes
    beyond_nodes = [key for key in ("cpus_per", "per_job", "per_socket", "per_task", "mem_per") if requests[key]]
    if beyond_nodes and not configuration.has_cons_tres:
        raise Refusal("this cluster's SelectType knows GPUs per node only (--gres, --gpus-per-node)", rule="bad-gres")

    asked: list[Asked] = []
    failure: Refusal | None = None
    for key, text in requests.items():
        try:
            for name, type_, number in _resources(text, configuration, forgiving):
                _add(asked, key, name, type_, number, shape)
        except Refusal as refusal:
            failure = refusal  # sbatch reads on and fails at the end
    has_gpus = any(
        item.name == "gpu" and (item.per_job or item.per_node or item.per_socket or item.per_task) for item in asked
    )
    if shape.ntasks_per_gpu:
        failure = _tasks_from_gpus(asked, has_gpus, shape, configuration.gres_types) or failure
        has_gpus = has_gpus or bool(shape.ntasks)
    if failure:
        raise failure
    if not asked:
        return
    if requests["mem_per"] and not has_gpus:
        raise Refusal("--mem-per-gpu without any GPU", option="mem-per-gpu", rule="bad-gres")
    try:
        for item in asked:
            _check_counts(item, shape)
    except Refusal as refusal:
        failure = refusal
    # sbatch forgets the failure when a typed and an untyped request for one resource were met before it.
    met = asked[: asked.index(item)] if failure else asked
    if _typed_and_untyped(met):
        failure = None
        for item in met:
            counted = item.per_job or item.per_node or item.per_socket or item.per_task
            if item.type is None and counted and any(other.name == item.name and other.type for other in met):
                raise Refusal(f"{item.name} is asked for with and without a type", option="gres", rule="bad-gres")
    if failure:
        raise failure


def _typed_and_untyped(asked: list[Asked]) -> bool:
    return any(a.name == b.name and (a.type is None) != (b.type is None) for a in asked for b in asked)


def _resources(text: str, configuration: Configuration, forgiving: bool) -> list[tuple[str, str | None, int]]:
    """Return name, type and count of every resource of `gres:gpu:a100:2,...` whose count is not 0."""
    found = []
    rest = text
    while "gres:" in rest:
        rest = rest.partition("gres:")[2]
        one, _, rest = rest.partition(",")
        if not one:
            continue
        name, *parts = one.split(":", 2)
        type_: str | None = None
        number: int | None = 1
        if len(parts) == 2:
            type_, number = parts[0], _count(parts[1])
        elif parts:
            number = _count(parts[0])
            if number is None:
                type_, number = parts[0], 1
        if number is None or not all(parts):
            raise Refusal(f"{one!r} is no generic resource; write NAME[:TYPE][:COUNT]", rule="bad-gres")
        if number == 0:
            continue
        if not configuration.has_gres(name, forgiving):
            known = ", ".join(sorted(configuration.gres_types)) or "none"
            raise Refusal(f"there is no generic resource {name!r} (here: {known})", rule="bad-gres")
        found.append((name, type_, number))
    return found


def _count(text: str) -> int | None:
    number, suffix = leading_integer(text)
    factor = _MULTIPLES.get(suffix.lower())
    if factor is None or number in (-1, LONG_MAX):  # what strtoull makes of these cannot be told from an overflow
        return None
    return (number or 0) * factor % 2**64


def _add(asked: list[Asked], key: str, name: str, type_: str | None, number: int, shape: Shape) -> None:
    item = next((item for item in asked if (item.name, item.type) == (name, type_)), None)
    if item is None:
        item = Asked(name, type_)
        asked.append(item)
    setattr(item, key, number)
    item.ntasks_per = shape.ntasks_per_gpu
    if key in ("cpus_per", "mem_per"):
        return
    if key == "per_node" and shape.min_nodes is not None:
        number *= shape.min_nodes
    elif key == "per_socket":
        if shape.min_nodes is not None and shape.sockets_per_node is not None:
            number *= shape.min_nodes * shape.sockets_per_node
        elif shape.ntasks is not None and shape.ntasks_per_socket:
            number *= -(-shape.ntasks // shape.ntasks_per_socket)
    elif key == "per_task" and shape.ntasks is not None:
        number *= shape.ntasks
    item.total = max(item.total, number)


def _tasks_from_gpus(asked: list[Asked], has_gpus: bool, shape: Shape, known: frozenset[str]) -> Refusal | None:
    """--ntasks-per-gpu: tasks follow from the GPUs, or GPUs from the tasks."""
    assert shape.ntasks_per_gpu
    if has_gpus:
        shape.ntasks = sum(item.total for item in asked if item.name == "gpu") * shape.ntasks_per_gpu % 2**32
    elif shape.ntasks:
        gpus = shape.ntasks // shape.ntasks_per_gpu
        if gpus and "gpu" not in known:
            return Refusal("this cluster has no generic resource 'gpu'", option="ntasks-per-gpu", rule="bad-gres")
        if gpus:
            _add(asked, "per_job", "gpu", None, gpus, shape)
    else:
        return Refusal("--ntasks-per-gpu needs GPUs, or --nodes and --ntasks", option="ntasks-per-gpu", rule="bad-gres")
    return None


def _check_counts(item: Asked, shape: Shape) -> None:
    """Job, node, socket and task counts of one resource must divide into each other and fit nodes, tasks and CPUs."""
    name = item.name
    if item.per_job and max(item.per_node, item.per_task, item.per_socket) > item.per_job:
        raise _clash(f"the job asks for fewer {name}s than a node, a task or a socket")
    if item.per_node and max(item.per_task, item.per_socket) > item.per_node:
        raise _clash(f"a node has fewer {name}s than a task or a socket asks for")
    if item.per_socket and shape.sockets_per_node is None:
        raise _clash(f"--{name}s-per-socket needs --sockets-per-node")
    if item.cpus_per and shape.cpus_per_task is not None:
        raise _clash(f"--cpus-per-{name} and --cpus-per-task exclude each other")
    if item.per_job and item.per_node:
        nodes = _quotient(item.per_job, item.per_node, f"{name}s of the job are no multiple of those of a node")
        too_few = shape.min_nodes is not None and nodes < shape.min_nodes
        if too_few or (shape.max_nodes is not None and nodes > shape.max_nodes):
            raise _clash(f"{name}s of the job and of a node make {nodes} nodes, --nodes says otherwise")
        shape.min_nodes = shape.max_nodes = nodes
    if item.per_node and item.per_socket:
        sockets = _quotient(item.per_node, item.per_socket, f"{name}s of a node are no multiple of those of a socket")
        if shape.sockets_per_node != sockets:
            raise _clash(f"{name}s of a node and of a socket make {sockets} sockets, --sockets-per-node says otherwise")
    if item.ntasks_per and shape.ntasks is not None and shape.ntasks % item.ntasks_per:
        raise _clash("--ntasks is no multiple of --ntasks-per-gpu")
    if item.per_task:
        if item.per_job:
            tasks = _quotient(item.per_job, item.per_task, f"{name}s of the job are no multiple of those of a task")
            if shape.ntasks is None:
                shape.ntasks = tasks
            elif shape.ntasks != tasks:
                raise _clash(f"{name}s of the job and of a task make {tasks} tasks, --ntasks says otherwise")
        elif shape.ntasks is not None:
            item.per_job = shape.ntasks * item.per_task
        else:
            raise _clash(f"--{name}s-per-task needs --ntasks or --{name}s")
    if item.per_node and item.per_task:
        tasks = _quotient(item.per_node, item.per_task, f"{name}s of a node are no multiple of those of a task")
        shape.ntasks_per_node = shape.ntasks_per_node or tasks
        if shape.ntasks_per_node != tasks:
            raise _clash(f"{name}s of a node and of a task make {tasks} tasks a node, --ntasks-per-node says otherwise")
    if item.per_socket and item.per_task:
        tasks = _quotient(item.per_socket, item.per_task, f"{name}s of a socket are no multiple of those of a task")
        shape.ntasks_per_socket = shape.ntasks_per_socket or tasks
        if shape.ntasks_per_socket != tasks:
            raise _clash(f"{name}s of a socket and a task make {tasks} tasks, --ntasks-per-socket says otherwise")
    if item.cpus_per and item.per_task:
        shape.cpus_per_task = shape.cpus_per_task or item.cpus_per * item.per_task
        if shape.cpus_per_task != item.cpus_per * item.per_task:
            raise _clash(f"--cpus-per-{name} and --{name}s-per-task make another --cpus-per-task")
    if item.per_job:
        if shape.min_nodes is not None and item.per_job < shape.min_nodes:
            raise _clash(f"fewer {name}s than nodes")
        if shape.max_nodes is not None and item.per_job < shape.max_nodes:
            shape.max_nodes = item.per_job


def _quotient(dividend: int, divisor: int, why: str) -> int:
    if dividend % divisor:
        raise _clash(why)
    return dividend // divisor


def _clash(why: str) -> Refusal:
    return Refusal(why, rule="bad-gres")
