"""Every option of sbatch 22.05.8: its names, whether it takes a value, how the value is read and shown.

The order is that of `sbatch -v` (common_options of slurm_opt.c).
"""

import grp
import pwd
from dataclasses import dataclass
from typing import Any

from hpcdl.slurm.sbatch import binding, durations, kinds, notices, readers
from hpcdl.slurm.sbatch.getopt import Table, Takes
from hpcdl.slurm.sbatch.kinds import Read, Show
from hpcdl.slurm.sbatch.numbers import int32
from hpcdl.slurm.sbatch.request import Request


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: its long name, without the dashes.
        short: its letter, or None.
        takes: whether it takes a value.
        fields: the fields of the request that it sets; resetting the option removes them.
        read: sets the fields from the value (None where none was given), or raises Refusal.
        show: the text that `sbatch -v` prints.
        per_component: whether a new component of a heterogeneous job starts without it.
        early: read from the command line only; in a script it does nothing.
        key: equal for two names of one option.
    """

    name: str
    short: str | None
    takes: Takes
    fields: tuple[str, ...]
    read: Read
    show: Show
    per_component: bool = False
    early: bool = False
    key: str = ""

    def reset(self, request: Request) -> None:
        for name in self.fields:
            request.fields.pop(name, None)


def _make(
    name: str,
    letters: str = "",
    takes: Takes = Takes.VALUE,
    fields: tuple[str, ...] | str = (),
    functions: tuple[Read, Show] | None = None,
    **more: Any,
) -> Option:
    fields = (fields,) if isinstance(fields, str) else fields
    fields = fields or (name.replace("-", "_"),)
    read, show = functions or kinds.text(fields[0])
    return Option(name, letters or None, takes, fields, read, show, key=more.pop("key", name), **more)


def _options() -> tuple[Option, ...]:
    nothing, maybe = Takes.NOTHING, Takes.MAYBE
    each: dict[str, Any] = {"per_component": True}
    early: dict[str, Any] = {"early": True}
    shared, requeue, spec, hosts = ("shared",), ("requeue",), ("core_spec",), ("nodelist", "nodefile")
    switches = ("req_switch", "wait4switch")

    def show_requeue(request: Request) -> str | None:
        return request.get("requeue", "unset")

    return (
        _make("account", "A"),
        _make("acctg-freq", functions=(readers.read_acctg_freq, lambda request: request.get("acctg_freq"))),
        _make("array", "a"),
        _make("batch"),
        _make("begin", "b", functions=kinds.moment("begin")),
        _make("bb", **each),
        _make("bbf"),
        _make("cluster-constraint"),
        _make("chdir", "D", functions=(readers.read_chdir, lambda request: request.get("chdir"))),
        _make("cluster", fields="clusters"),
        _make("clusters", "M"),
        _make("comment"),
        _make("container"),
        _make("context"),
        _make("contiguous", takes=nothing, functions=kinds.flag("contiguous"), **each),
        _make("constraint", "C", **each),
        _make("core-spec", "S", fields=spec, functions=(readers.read_core_spec, readers.show_core_spec), **each),
        _make("cores-per-socket", functions=kinds.number("cores_per_socket"), **each),
        _make(
            "cpu-freq",
            functions=(readers.read_cpu_freq, lambda request: binding.show_cpu_frequency(*request.fields["cpu_freq"])),
            **each,
        ),
        _make("cpus-per-gpu", functions=kinds.number("cpus_per_gpu"), **each),
        _make("cpus-per-task", "c", functions=kinds.number("cpus_per_task"), **each),
        _make("deadline", functions=kinds.moment("deadline")),
        _make(
            "delay-boot",
            functions=(readers.read_delay_boot, lambda request: durations.show_seconds(request.fields["delay_boot"])),
        ),
        _make("dependency", "d"),
        _make(
            "distribution",
            "m",
            fields=("distribution", "plane_size"),
            functions=(readers.read_distribution, readers.show_distribution),
            **each,
        ),
        _make("error", "e", functions=kinds.stream("error")),
        _make("exclude", "x"),
        _make("exclusive", takes=maybe, fields=shared, functions=(readers.read_exclusive, readers.show_shared), **each),
        _make("export"),
        _make("export-file"),
        _make(
            "extra-node-info",
            "B",
            fields=(*readers.SHAPE, "extra_set"),
            functions=(readers.read_extra_node_info, readers.show_extra_node_info),
            **each,
        ),
        _make(
            "get-user-env",
            takes=maybe,
            fields=("get_user_env_time", "get_user_env_mode"),
            functions=(readers.read_get_user_env, readers.show_get_user_env),
        ),
        _make("gid", functions=kinds.identity("gid", lambda name: grp.getgrnam(name).gr_gid)),
        _make("gpu-bind", functions=(readers.read_gpu_bind, lambda request: request.get("gpu_bind")), **each),
        _make("gpu-freq", functions=(readers.read_gpu_freq, lambda request: request.get("gpu_freq")), **each),
        _make("gpus", "G", **each),
        _make("gpus-per-node", **each),
        _make("gpus-per-socket", **each),
        _make("gpus-per-task", **each),
        _make("gres", functions=(readers.read_gres, lambda request: request.get("gres")), **each),
        _make(
            "gres-flags",
            functions=(readers.read_gres_flags, lambda request: request.get("gres_flags", "unset")),
            **each,
        ),
        _make("help", "h", nothing, functions=(readers.ends_sbatch, lambda request: None), **early),
        _make("hint", **each),
        _make("hold", "H", nothing, functions=kinds.flag("hold")),
        _make("ignore-pbs", takes=nothing, functions=kinds.flag("ignore_pbs")),
        _make("input", "i", functions=kinds.stream("input")),
        _make("job-name", "J"),
        _make(
            "kill-on-invalid-dep",
            functions=(readers.read_kill_on_invalid_dep, lambda request: request.get("kill_on_invalid_dep", "unset")),
        ),
        _make("licenses", "L", **each),
        _make(
            "mail-type",
            functions=(
                readers.read_mail_type,
                lambda request: notices.show_mail_types(request.get("mail_type", frozenset())),
            ),
            **each,
        ),
        _make("mail-user", **each),
        _make("mcs-label"),
        _make("mem", functions=kinds.size("mem")),
        _make(
            "mem-bind",
            fields=("mem_bind", "mem_bind_flags"),
            functions=(readers.read_mem_bind, readers.show_mem_bind),
            **each,
        ),
        _make("mem-per-cpu", functions=kinds.size("mem_per_cpu"), **each),
        _make("mem-per-gpu", functions=kinds.size("mem_per_gpu"), **each),
        _make("mincpus", functions=kinds.number("mincpus"), **each),
        _make("network", **each),
        _make("nice", takes=maybe, functions=(readers.read_nice, lambda request: str(request.get("nice")))),
        _make(
            "no-kill",
            "k",
            maybe,
            functions=(readers.read_no_kill, lambda request: "set" if request.get("no_kill") else "unset"),
        ),
        _make("no-requeue", takes=nothing, fields=requeue, functions=(readers.requeue("no-requeue"), show_requeue)),
        _make(
            "nodefile",
            "F",
            fields=hosts,
            functions=(readers.read_nodefile, lambda request: request.get("nodefile")),
            **each,
        ),
        _make(
            "nodelist",
            "w",
            fields=hosts,
            functions=(readers.read_nodelist, lambda request: request.get("nodelist")),
            **each,
        ),
        _make(
            "nodes",
            "N",
            fields=("min_nodes", "max_nodes", "nodes_set"),
            functions=(readers.read_nodes, readers.show_nodes),
            **each,
        ),
        _make("ntasks", "n", functions=kinds.number("ntasks"), **each),
        _make("ntasks-per-core", functions=kinds.number("ntasks_per_core"), **each),
        _make("ntasks-per-gpu", functions=kinds.number("ntasks_per_gpu"), **each),
        _make("ntasks-per-node", functions=kinds.number("ntasks_per_node"), **each),
        _make("ntasks-per-socket", functions=kinds.number("ntasks_per_socket"), **each),
        _make("ntasks-per-tres", functions=kinds.number("ntasks_per_tres"), **each),
        _make("open-mode", functions=(readers.read_open_mode, lambda request: request.get("open_mode"))),
        _make("output", "o", functions=kinds.stream("output")),
        _make("overcommit", "O", nothing, functions=kinds.flag("overcommit"), **each),
        _make(
            "oversubscribe",
            "s",
            nothing,
            fields=shared,
            functions=(readers.read_oversubscribe, readers.show_shared),
            **each,
        ),
        _make("parsable", takes=nothing, functions=kinds.flag("parsable")),
        _make("partition", "p", **each),
        _make("power", functions=(readers.read_power, lambda request: request.get("power", "unset")), **each),
        _make("prefer"),
        _make("priority", functions=(readers.read_priority, lambda request: str(int32(request.get("priority", 0))))),
        _make(
            "profile", functions=(readers.read_profile, lambda request: ",".join(request.get("profile", ("NotSet",))))
        ),
        _make("propagate", takes=maybe, functions=(readers.read_propagate, lambda request: request.get("propagate"))),
        _make("qos", "q"),
        _make(
            "quiet", "Q", nothing, functions=(readers.read_quiet, lambda request: str(request.get("quiet", 0))), **early
        ),
        _make("reboot", takes=nothing, functions=kinds.flag("reboot")),
        _make("requeue", takes=nothing, fields=requeue, functions=(readers.requeue("requeue"), show_requeue)),
        _make("reservation"),
        _make(
            "signal",
            functions=(
                readers.read_signal,
                lambda request: notices.show_warning_signal(*request.get("signal", ("", 0, 0))),
            ),
        ),
        _make("sockets-per-node", functions=kinds.number("sockets_per_node"), **each),
        _make("spread-job", takes=nothing, functions=kinds.flag("spread_job"), **each),
        _make("switches", fields=switches, functions=(readers.read_switches, readers.show_switches), **each),
        _make(
            "tasks-per-node",
            fields="ntasks_per_node",
            functions=kinds.number("ntasks_per_node"),
            key="ntasks-per-node",
            **each,
        ),
        _make("test-only", takes=nothing, functions=kinds.flag("test_only")),
        _make("thread-spec", fields=spec, functions=(readers.read_thread_spec, readers.show_thread_spec), **each),
        _make("threads-per-core", functions=kinds.number("threads_per_core"), **each),
        _make("time", "t", functions=kinds.limit("time")),
        _make("time-min", functions=kinds.limit("time_min")),
        _make("tmp", functions=kinds.size("tmp"), **each),
        _make("uid", functions=kinds.identity("uid", lambda name: pwd.getpwnam(name).pw_uid)),
        _make("use-min-nodes", takes=nothing, functions=kinds.flag("use_min_nodes"), **each),
        _make(
            "verbose",
            "v",
            nothing,
            functions=(readers.read_verbose, lambda request: str(request.get("verbose", 0))),
            **early,
        ),
        _make("version", "V", nothing, functions=(readers.ends_sbatch, lambda request: None), **early),
        _make("usage", takes=nothing, functions=(readers.ends_sbatch, lambda request: None), **early),
        _make("wait", "W", nothing, functions=kinds.flag("wait")),
        _make(
            "wait-all-nodes",
            functions=(
                readers.read_wait_all_nodes,
                lambda request: str(request.get("wait_all_nodes", readers.UNSET_16)),
            ),
        ),
        _make("wckey"),
        _make("wrap", **early),
    )


OPTIONS = _options()
TABLE = Table(OPTIONS)
# Set by the environment or by a #PBS line only; sbatch -v prints them without a name.
NAMELESS = (
    _make("umask", functions=(readers.read_umask, lambda request: f"0{request.get('umask', 0):o}"), per_component=True),
    _make(
        "switches (count)",
        fields="req_switch",
        functions=(readers.read_switch_count, lambda request: str(request.get("req_switch", "unset"))),
        per_component=True,
    ),
    _make(
        "switches (wait)",
        fields=("req_switch", "wait4switch"),
        functions=(readers.read_switch_wait, readers.show_switch_wait),
        per_component=True,
    ),
)
BY_NAME = {option.name: option for option in (*OPTIONS, *NAMELESS)}
# Options of plugins that many sites have; a plain sbatch refuses them. Name -> whose plugin.
PLUGINS = {
    "container-image": "pyxis",
    "container-mounts": "pyxis",
    "container-name": "pyxis",
    "container-workdir": "pyxis",
    "container-env": "pyxis",
    "container-writable": "pyxis",
    "container-mount-home": "pyxis",
    "container-remap-root": "pyxis",
    "image": "Shifter (NERSC)",
    "module": "Shifter (NERSC)",
    "volume": "Shifter (NERSC)",
    "uenv": "uenv (CSCS)",
    "view": "uenv (CSCS)",
    "environment": "container engine (CSCS)",
    "gpu_cmode": "OSC",
    "disable-dcgm": "JSC",
}
_MAYBE = ("container-writable", "container-mount-home", "container-remap-root", "disable-dcgm")


def plain_option(name: str, takes: Takes = Takes.VALUE, *, per_component: bool = False) -> Option:
    """Return an option whose value is kept as it is."""
    functions = kinds.flag(name) if takes is Takes.NOTHING else None
    return _make(name, takes=takes, fields=(name,), functions=functions, per_component=per_component)


def plugin_options() -> tuple[Option, ...]:
    """Return the options of well-known plugins."""
    return tuple(plain_option(name, Takes.MAYBE if name in _MAYBE else Takes.VALUE) for name in PLUGINS)


BY_NAME |= {option.name: option for option in plugin_options()}
