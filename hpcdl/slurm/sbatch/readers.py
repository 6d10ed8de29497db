"""The options whose values have a grammar or an effect of their own: how each is read and shown.

Every function takes the request; a reader also the value, None where none was given, and raises Refusal for one that
sbatch refuses. Facts from arg_set_*() and arg_get_*() of src/common/slurm_opt.c, Slurm 22.05.8.
"""

import re

from hpcdl.slurm.sbatch import binding, durations, gres, notices, placement
from hpcdl.slurm.sbatch.kinds import Read
from hpcdl.slurm.sbatch.numbers import LONG_MIN, count, int32, leading_integer
from hpcdl.slurm.sbatch.refusal import Refusal
from hpcdl.slurm.sbatch.request import Request


def read_acctg_freq(request: Request, value: str | None) -> None:
    value = value or ""
    for part in filter(None, value.split(",")):
        fields = [part]
        for name in ("energy=", "task=", "filesystem=", "network="):
            if (at := part.lower().find(name)) >= 0:
                fields.append(part[at + len(name) :])
        numbers = [leading_integer(text)[0] for text in fields]
        if all(number is None or int32(number) == -1 for number in numbers):
            raise Refusal(f"{part!r} is no sampling interval; write task=SECONDS", rule="bad-value")
    request.fields["acctg_freq"] = value


def read_chdir(request: Request, value: str | None) -> None:
    value = value or ""
    request.fields["chdir"] = value if value.startswith("/") else f"{request.surroundings.folder}/{value}"


def read_cpu_freq(request: Request, value: str | None) -> None:
    request.fields["cpu_freq"] = binding.cpu_frequency(value or "", request.surroundings.configuration.governors)


def read_delay_boot(request: Request, value: str | None) -> None:
    seconds = durations.seconds(value or "")
    if seconds is None:
        raise Refusal(f"{value!r} is no time; allowed: {durations.ALLOWED}", rule="bad-time")
    request.fields["delay_boot"] = seconds % 2**32


def read_distribution(request: Request, value: str | None) -> None:
    default = request.surroundings.environment.get("SLURM_DIST_PLANESIZE")
    method, flags, plane_size = placement.distribution(value or "", default)
    request.fields["distribution"] = (method, flags)
    if plane_size is not None:
        request.fields["plane_size"] = plane_size


def show_distribution(request: Request) -> str | None:
    method, flags = request.get("distribution", (None, frozenset()))
    return placement.show_distribution(method, flags, request.get("plane_size"))


_SHARING = ("exclusive", "oversubscribe", "user", "mcs")


def read_exclusive(request: Request, value: str | None) -> None:
    value = (value or "exclusive").lower()
    version = request.surroundings.version
    allowed = (*_SHARING, *(["topo"] if version >= (24, 5) else []), *(["allocation"] if version >= (26, 5) else []))
    if value not in allowed:
        raise Refusal(f"{value!r} is no way of sharing; allowed: {', '.join(allowed)}", rule="bad-value")
    request.fields["shared"] = value


def read_oversubscribe(request: Request, value: str | None) -> None:
    request.fields["shared"] = "oversubscribe"


def show_shared(request: Request) -> str | None:
    return request.get("shared", "unset")


SHAPE = ("sockets_per_node", "cores_per_socket", "threads_per_core")


def read_extra_node_info(request: Request, value: str | None) -> None:
    for field, number in zip(SHAPE, placement.node_shape(value or ""), strict=True):
        request.fields.pop(field, None)
        if number is not None:
            request.fields[field] = number
    request.fields["extra_set"] = True


def show_extra_node_info(request: Request) -> str | None:
    sockets, cores, threads = (request.get(field) for field in SHAPE)
    shown = "" if sockets is None else str(sockets)
    shown += "".join(f":{number}" for number in (cores, threads) if number is not None)
    return shown or "unset"


def read_get_user_env(request: Request, value: str | None) -> None:
    number, rest = leading_integer(value or "")
    request.fields["get_user_env_time"] = int32(number or 0)
    if rest:
        letter = rest[0].upper()
        if letter not in "SL":
            raise Refusal(f"{value!r} is not SECONDS[S|L]", rule="bad-value")
        request.fields["get_user_env_mode"] = letter


def show_get_user_env(request: Request) -> str | None:
    time = request.get("get_user_env_time", -1)
    if request.get("get_user_env_mode"):
        return f"{time}{request.get('get_user_env_mode')}"
    return str(time) if time != -1 else None


def read_gpu_bind(request: Request, value: str | None) -> None:
    binding.check_gpu_binding(value or "")
    request.fields["gpu_bind"] = value


def read_gpu_freq(request: Request, value: str | None) -> None:
    binding.check_gpu_frequency(value or "")
    request.fields["gpu_freq"] = value


def read_gres(request: Request, value: str | None) -> None:
    value = value or ""
    if value.lower() in ("help", "list"):
        raise Refusal(f"--gres={value} prints a list and submits nothing", rule="bad-value")
    request.fields["gres"] = value if value.lower() == "none" else gres.add_prefix(value)


_GRES_FLAGS = ("disable-binding", "enforce-binding")
_SHARING_FLAGS = ("multiple-tasks-per-sharing", "one-task-per-sharing")  # since 23.11


def read_gres_flags(request: Request, value: str | None) -> None:
    request.fields.pop("gres_flags", None)
    is_list = request.surroundings.version >= (23, 11)
    flags = (value or "").lower().split(",") if is_list else [(value or "").lower()]
    allowed = (*_GRES_FLAGS, *(_SHARING_FLAGS if is_list else ()))
    if not set(flags) <= set(allowed) or set(_GRES_FLAGS) <= set(flags) or set(_SHARING_FLAGS) <= set(flags):
        raise Refusal(f"{value!r} is no such flag; allowed: {', '.join(allowed)}", rule="bad-value")
    request.fields["gres_flags"] = ",".join(flags)


def read_kill_on_invalid_dep(request: Request, value: str | None) -> None:
    answer = (value or "").lower()
    if answer not in ("yes", "no"):
        raise Refusal(f"{value!r} is neither yes nor no", rule="bad-value")
    # Once asked to kill, a later "no" does not take it back.
    if request.get("kill_on_invalid_dep") != "yes":
        request.fields["kill_on_invalid_dep"] = answer


def read_mail_type(request: Request, value: str | None) -> None:
    types = notices.mail_types(value or "")
    if request.surroundings.version < (25, 5):  # RELEASE_NOTES 25.05: --mail-type no longer adds up
        types |= request.get("mail_type", frozenset())
    request.fields["mail_type"] = types


def read_mem_bind(request: Request, value: str | None) -> None:
    flags, places = binding.memory_binding(value or "", request.get("mem_bind_flags", frozenset()))
    request.fields["mem_bind_flags"], request.fields["mem_bind"] = flags, places


def show_mem_bind(request: Request) -> str | None:
    return binding.show_memory_binding(request.get("mem_bind_flags", frozenset()), request.get("mem_bind"))


_MOST_NICE = 2**31 - 3


def read_nice(request: Request, value: str | None) -> None:
    number = 100 if value is None else leading_integer(value)[0] or 0
    if abs(number) > _MOST_NICE and number != LONG_MIN:  # whose absolute value does not fit, and passes as 0
        raise Refusal(f"{value!r} is not between -{_MOST_NICE} and {_MOST_NICE}", rule="bad-value")
    request.fields["nice"] = int32(number)


def read_no_kill(request: Request, value: str | None) -> None:
    answer = (value or "set").lower()
    if answer not in ("set", "off", "no"):
        raise Refusal(f"{value!r} is neither set nor off", rule="bad-value")
    request.fields["no_kill"] = answer == "set"


def read_nodefile(request: Request, value: str | None) -> None:
    request.fields.pop("nodelist", None)
    request.fields["nodefile"] = value


def read_nodelist(request: Request, value: str | None) -> None:
    request.fields.pop("nodefile", None)
    request.fields["nodelist"] = value


def read_nodes(request: Request, value: str | None) -> None:
    read = placement.node_list if request.surroundings.version >= (23, 2) else placement.node_range
    request.fields["min_nodes"], request.fields["max_nodes"] = read(value or "")
    request.fields["nodes_set"] = True


def show_nodes(request: Request) -> str | None:
    return placement.show_node_range(request.get("min_nodes", 1), request.get("max_nodes", 0))


def read_open_mode(request: Request, value: str | None) -> None:
    letter = (value or "")[:1].lower()
    if letter not in ("a", "t"):
        raise Refusal(f"{value!r} is neither append nor truncate", rule="bad-value")
    request.fields["open_mode"] = letter


def read_power(request: Request, value: str | None) -> None:
    request.fields["power"] = "LEVEL" if "level" in (value or "").lower().split(",") else "unset"


def read_priority(request: Request, value: str | None) -> None:
    value = value or ""
    number = 2**32 - 3 if value.upper() == "TOP" else leading_integer(value)[0] or 0
    if not 0 <= number < 2**32 - 2:
        raise Refusal(f"{value!r} is no priority; allowed: TOP or a number from 0 to {2**32 - 3}", rule="bad-value")
    request.fields["priority"] = number


_PROFILES = ("Energy", "Lustre", "Network", "Task")


def read_profile(request: Request, value: str | None) -> None:
    lower = (value or "").lower()
    if "none" in lower:
        request.fields["profile"] = ("None",)
        return
    request.fields["profile"] = tuple(name for name in _PROFILES if "all" in lower or name.lower() in lower)
    if not request.fields["profile"]:
        raise Refusal(f"{value!r} is no profile; allowed: none, all, {', '.join(_PROFILES).lower()}", rule="bad-value")


def read_propagate(request: Request, value: str | None) -> None:
    request.fields["propagate"] = "ALL" if value is None else value


def requeue(answer: str) -> Read:
    def read(request: Request, value: str | None) -> None:
        if value and request.surroundings.version >= (26, 5) and value.lower() != "expedite":
            raise Refusal(f"{value!r} is no way to requeue; allowed: expedite", rule="bad-value")
        request.fields["requeue"] = answer

    return read


def read_signal(request: Request, value: str | None) -> None:
    flags, number, seconds = notices.warning_signal(value or "")
    # The flags of an earlier --signal stay.
    kept = set(flags) | set(request.get("signal", ("", 0, 0))[0])
    request.fields["signal"] = ("".join(letter for letter in "RB" if letter in kept), number, seconds)


def read_switches(request: Request, value: str | None) -> None:
    number, at, wait = (value or "").partition("@")
    if at:
        read_switch_wait(request, wait)
    request.fields["req_switch"] = count(number, positive=True)


def read_switch_count(request: Request, value: str | None) -> None:
    request.fields["req_switch"] = count(value or "", positive=True)


def read_switch_wait(request: Request, value: str | None) -> None:
    seconds = durations.seconds(value or "")
    request.fields["wait4switch"] = -2 if seconds is None else seconds  # -2: sbatch keeps NO_VAL, prints INVALID


def show_switches(request: Request) -> str | None:
    number, wait = request.get("req_switch", -1), request.get("wait4switch", -1)
    if wait != -1:
        return f"{number}@{durations.show_seconds(wait)}"
    return str(number) if number != -1 else "unset"


def show_switch_wait(request: Request) -> str | None:
    return durations.show_seconds(request.get("wait4switch", -1))


def read_core_spec(request: Request, value: str | None) -> None:
    request.fields["core_spec"] = count(value or "", positive=False)


def read_thread_spec(request: Request, value: str | None) -> None:
    request.fields["core_spec"] = count(value or "", positive=True) | _THREADS


_THREADS = 0x8000
UNSET_16 = 0xFFFE


def show_core_spec(request: Request) -> str | None:
    number = request.get("core_spec", UNSET_16)
    return "unset" if number & _THREADS else str(number)


def show_thread_spec(request: Request) -> str | None:
    number = request.get("core_spec", UNSET_16)
    return str(number & ~_THREADS) if number != UNSET_16 and number & _THREADS else "unset"


def read_umask(request: Request, value: str | None) -> None:
    match = re.match(r"[ \t\n\v\f\r]*[+]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", value or "")
    text = match.group(1) if match else "0"
    number = int(text[:30], 16 if text[:2] in ("0x", "0X") else 8 if text.startswith("0") else 10)
    if number > 0o777 or (value or "").lstrip().startswith("-"):
        raise Refusal(f"{value!r} is no umask", rule="bad-value")
    request.fields["umask"] = number


def read_verbose(request: Request, value: str | None) -> None:
    request.fields["verbose"] = request.get("verbose", 0) + 1 if value is None else count(value, positive=False)


def read_quiet(request: Request, value: str | None) -> None:
    request.fields["quiet"] = request.get("quiet", 0) + 1


def read_wait_all_nodes(request: Request, value: str | None) -> None:
    number = count(value or "", positive=False) % 2**16
    if number > 1:
        raise Refusal(f"{value!r} is neither 0 nor 1", rule="bad-value")
    request.fields["wait_all_nodes"] = number


def ends_sbatch(request: Request, value: str | None) -> None:
    raise Refusal("sbatch would print its help or version and submit nothing")
