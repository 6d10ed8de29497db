"""What sbatch makes of all options together before it asks the controller (_opt_verify and what follows, 22.05.8)."""

from hpcdl.slurm.sbatch import binding, gres, hostlist, paths
from hpcdl.slurm.sbatch.numbers import divide, int32
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.request import Request

_GPU_CLASHES = ("gpus-per-task", "gpus-per-socket", "ntasks-per-node")
_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
_SHAPES = ("ntasks-per-core", "threads-per-core", "extra-node-info")
_GPU_OPTIONS = ("gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")
_LIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")


def verify(request: Request) -> None:
    """Settle the options among each other, as sbatch does right before it prints them under -v.

    Raises:
        Refusal: options exclude each other, or numbers do not fit.
    """
    _settle_tasks_per_gpu(request)
    _settle_reserved_cores(request)
    _refuse_newer_clashes(request)
    _settle_memory(request)
    if request.is_set("bb") and request.is_set("bbf"):
        raise Refusal("--bb and --bbf exclude each other", option="bbf", rule="clash")
    _settle_hint(request)
    _make_paths_absolute(request)
    hosts = _settle_hosts(request)
    _settle_counts(request, hosts)
    begin, deadline = request.get("begin"), request.get("deadline")
    if begin and deadline and deadline < begin:
        raise Refusal("--deadline is before --begin", option="deadline", rule="clash")
    if request.get("quiet") and request.get("verbose"):
        raise Refusal("--quiet and --verbose exclude each other", option="quiet", rule="clash")


def submit(request: Request) -> None:
    """Make the checks that come after the options were printed and before the controller is asked.

    Raises:
        Refusal: a file is missing, a limit unknown, or the generic resources do not fit.
    """
    folder = request.surroundings.folder
    if request.get("bbf") is not None:
        paths.check_readable(request.get("bbf"), folder, "bbf")
    if request.get("get_user_env_time", -1) < 0 and request.get("propagate") is not None:
        _check_limits(request.get("propagate"))
    # A number may name an open file of sbatch; any other is a file.
    if request.get("export_file") is not None:
        paths.check_readable(request.get("export_file"), folder, "export-file")
    method, _ = request.get("distribution", (None, frozenset()))
    if method == "arbitrary" and request.get("nodelist") is None:
        raise Refusal("--distribution=arbitrary needs --nodelist", option="distribution", rule="clash")
    if request.get("clusters") is None:  # another cluster may have other resources
        _check_gres(request)


def _settle_tasks_per_gpu(request: Request) -> None:
    names = ("ntasks-per-gpu", "ntasks-per-tres")
    by_user = [name for name in names if request.by_user(name)]
    if not by_user:
        return
    if len(by_user) == 2 and request.get("ntasks_per_gpu") != request.get("ntasks_per_tres"):
        raise Refusal("--ntasks-per-gpu and --ntasks-per-tres disagree", option="ntasks-per-gpu", rule="clash")
    for name in _GPU_CLASHES:
        if request.by_user(name) or request.by_environment(name):
            raise Refusal(f"--ntasks-per-gpu and --{name} exclude each other", option=name, rule="clash")


def _settle_reserved_cores(request: Request) -> None:
    names = ("core-spec", "thread-spec")
    if not any(map(request.is_set, names)):
        return
    if all(map(request.by_user, names)):
        raise Refusal("--core-spec and --thread-spec exclude each other", option="thread-spec", rule="clash")
    if all(map(request.by_environment, names)) and not any(map(request.by_user, names)):
        raise Refusal("SBATCH_CORE_SPEC and SBATCH_THREAD_SPEC exclude each other", rule="clash")


def _refuse_newer_clashes(request: Request) -> None:
    """Options that only a newer Slurm refuses together (validate_options_salloc_sbatch_srun of the versions named)."""
    version, get = request.surroundings.version, request.get
    if version >= (23, 2) and request.by_user("exclusive") and request.by_user("oversubscribe"):
        raise Refusal("--exclusive and --oversubscribe exclude each other", option="oversubscribe", rule="clash")
    if version >= (23, 2) and get("ntasks_per_core", 0) > get("threads_per_core", 2**31) > 0:
        raise Refusal("more --ntasks-per-core than --threads-per-core", option="ntasks-per-core", rule="clash")
    if version >= (26, 5) and "gres:gpu" in (get("gres") or "") and "gpus_per_node" in request.fields:
        raise Refusal("--gres=gpu and --gpus-per-node exclude each other", option="gpus-per-node", rule="clash")


def _settle_memory(request: Request) -> None:
    by_user = [name for name in _MEMORY if request.by_user(name)]
    if len(by_user) > 1:
        raise Refusal("--mem, --mem-per-cpu and --mem-per-gpu exclude each other", option=by_user[-1], rule="clash")
    if by_user:
        for name in _MEMORY:
            if name not in by_user:
                request.forget(name, name.replace("-", "_"))
    elif sum(map(request.by_environment, _MEMORY)) > 1:
        raise Refusal("two of SBATCH_MEM_PER_NODE, SBATCH_MEM_PER_CPU and SBATCH_MEM_PER_GPU are set", rule="clash")


def _settle_hint(request: Request) -> None:
    """--hint gives way to a given shape, and drops one that only the environment gives."""
    hint = request.get("hint")
    if hint is None:
        return
    shaped = any(map(request.by_user, _SHAPES))
    if request.by_user("hint") and not shaped:
        for name in _SHAPES:
            fields = {"extra-node-info": ("sockets_per_node", "cores_per_socket", "threads_per_core", "extra_set")}
            request.forget(name, *fields.get(name, (name.replace("-", "_"),)))
    elif shaped or (request.by_environment("hint") and any(map(request.by_environment, _SHAPES))):
        request.forget("hint")
        return
    for word in binding.hints(hint):
        if word == "compute_bound":
            request.fields.pop("sockets_per_node", None)
            request.fields.pop("cores_per_socket", None)
            request.fields["threads_per_core"] = 1
        elif word == "memory_bound":
            request.fields["cores_per_socket"] = request.fields["threads_per_core"] = 1
        elif word == "multithread":
            request.fields.pop("threads_per_core", None)
            request.fields["ntasks_per_core"] = 0xFFFF
        else:
            request.fields["threads_per_core"] = 1


def _make_paths_absolute(request: Request) -> None:
    folder = request.get("chdir", str(request.surroundings.folder))
    request.fields.setdefault("input", "/dev/null")
    for name in ("error", "input", "output"):
        path = request.get(name)
        if path is not None and not path.startswith("/"):
            request.fields[name] = f"{folder}/{path}"


def _settle_hosts(request: Request) -> list[hostlist.Range]:
    """Read host files and count the hosts asked for; they are the least number of nodes."""
    surroundings, needed = request.surroundings, None
    method, flags = request.get("distribution", (None, frozenset()))
    if "ntasks" in request.fields:
        needed = request.get("ntasks")
    elif request.get("nodes_set"):
        needed = request.get("max_nodes") or request.get("min_nodes") or None
    exclude = request.get("exclude")
    if exclude is not None and "/" in exclude:
        exactly = needed if method == "arbitrary" else None
        request.fields["exclude"] = paths.read_host_file(exclude, surroundings.folder, exactly)
    if request.get("nodefile") is not None:
        request.fields["nodelist"] = paths.read_host_file(request.get("nodefile"), surroundings.folder, None)
    from_environment = surroundings.environment.get("SLURM_HOSTFILE")
    if request.get("nodelist") is None and from_environment is not None:
        request.fields["nodelist"] = from_environment if "/" in from_environment else f"./{from_environment}"
        request.fields["distribution"] = ("arbitrary", flags)
        method = "arbitrary"
    nodelist = request.get("nodelist")
    if nodelist is None:
        return []
    if "/" in nodelist:
        exactly = needed if method == "arbitrary" else None
        nodelist = request.fields["nodelist"] = paths.read_host_file(nodelist, surroundings.folder, exactly)
    hosts = hostlist.unique(hostlist.read_hosts(nodelist))
    number = sum(map(len, hosts))
    request.fields["min_nodes"] = max(number, request.get("min_nodes", 1)) if request.get("nodes_set") else number
    request.fields["nodes_set"] = True
    return hosts


def _settle_counts(request: Request, hosts: list[hostlist.Range]) -> None:
    """Nodes, tasks and CPUs: fill in what follows and refuse what cannot be."""
    fields = request.fields
    least, most = request.get("min_nodes", 1), request.get("max_nodes", 0)
    per_node = request.get("ntasks_per_node", 0)
    if per_node > 0 and "ntasks" not in fields and most in (0, least):
        fields["ntasks"] = int32(least * per_node)
    if "cpus_per_task" in fields and request.get("mincpus", -1) < fields["cpus_per_task"]:
        fields["mincpus"] = fields["cpus_per_task"]
    tasks = request.get("ntasks", 1)
    if tasks < 0:
        raise Refusal(f"--ntasks is {tasks}", option="ntasks", rule="bad-value")
    if request.get("cpus_per_task", 1) <= 0:
        raise Refusal(f"--cpus-per-task is {fields['cpus_per_task']}", option="cpus-per-task", rule="bad-value")
    if least < 0 or most < 0 or (most and least > most):
        raise Refusal(f"between {least} and {most} nodes are none", option="nodes", rule="bad-nodes")
    method, _ = request.get("distribution", (None, frozenset()))
    if method == "plane":
        size = request.get("plane_size")
        if (least <= 0 or divide(tasks, size) < least) and (least - 1) * size >= tasks:
            raise Refusal(
                "too few tasks for the plane distribution on these nodes", option="distribution", rule="clash"
            )
    one_count = most in (0, least)
    if (request.get("nodes_set") or request.get("extra_set")) and one_count and "ntasks" not in fields:
        _tasks_from_shape(request, least)
    elif request.get("nodes_set") and "ntasks" in fields:
        fields["max_nodes"] = min(most, tasks)
        if tasks < least:
            request.warnings.append(f"{tasks} tasks cannot use {least} nodes; sbatch asks for {tasks}")
            fields["min_nodes"] = fields["max_nodes"] = tasks
            if sum(map(len, hosts)) > tasks:
                fields["nodelist"] = hostlist.write_hosts(hostlist.first_hosts(hosts, tasks))
    if method == "arbitrary" and not (request.get("nodes_set") and "ntasks" in fields):
        number = sum(map(len, hosts))
        fields.setdefault("ntasks", number)
        if not request.get("nodes_set"):
            fields["nodes_set"] = True
            fields["min_nodes"] = fields["max_nodes"] = number


def _tasks_from_shape(request: Request, nodes: int) -> None:
    """Without --ntasks: one task for each socket, core or thread asked for on each node."""
    shape = [request.get(name) for name in ("sockets_per_node", "cores_per_socket", "threads_per_core")]
    tasks = max(nodes, 1)
    for number in shape:
        tasks = int32(tasks * (1 if number is None else number))
    if any(number is not None for number in shape):
        request.fields["ntasks"] = tasks


def _check_limits(text: str) -> None:
    if text in ("NONE", "ALL"):
        return
    for word in filter(None, text.replace("\t", ",").replace("\n", ",").replace(" ", ",").split(",")):
        name = word
        while name not in _LIMITS and name.startswith("RLIMIT_"):
            name = name.removeprefix("RLIMIT_")
        if name not in _LIMITS:
            raise Refusal(
                f"{word!r} is no limit; allowed: ALL, NONE, {', '.join(_LIMITS)}", option="propagate", rule="bad-value"
            )


def _check_gres(request: Request) -> None:
    get = request.get
    nodes_set = get("nodes_set")
    own = get("gres")
    per_node = ",".join(
        filter(None, (gres.per_gpu(get("gpus_per_node")), own if own and own.lower() != "none" else ""))
    )
    requests = {
        "cpus_per": f"gres:gpu:{get('cpus_per_gpu')}" if get("cpus_per_gpu") else "",
        "per_job": gres.per_gpu(get("gpus")),
        "per_node": per_node,
        "per_socket": gres.per_gpu(get("gpus_per_socket")),
        "per_task": gres.per_gpu(get("gpus_per_task")),
        "mem_per": f"gres:gpu:{get('mem_per_gpu')}" if get("mem_per_gpu") is not None else "",
    }
    shape = gres.Shape(
        ntasks=get("ntasks"),
        min_nodes=get("min_nodes", 1) if nodes_set else 0 if get("ntasks") == 0 else None,
        max_nodes=(get("max_nodes") or None) if nodes_set else None,
        ntasks_per_node=_short(get("ntasks_per_node")),
        ntasks_per_socket=_short(get("ntasks_per_socket")),
        sockets_per_node=_short(get("sockets_per_node")),
        cpus_per_task=_short(get("cpus_per_task")),
        ntasks_per_gpu=_short(get("ntasks_per_tres", get("ntasks_per_gpu"))),
    )
    surroundings = request.surroundings
    try:
        gres.check(requests, shape, surroundings.configuration, surroundings.is_forgiving)
    except Refusal as refusal:
        if refusal.option is None:
            refusal.option = next(filter(request.is_set, _GPU_OPTIONS), None)
        raise


def _short(number: int | None) -> int | None:
    """What the 16 bits of the request keep; 0xFFFE is "not asked for"."""
    return None if number is None or number % 2**16 == 0xFFFE else number % 2**16
