"""The options that a job gives to sbatch at a site, and sbatch's way of quoting them."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from hpcdl.errors import HpcdlError, JobFileError, SiteError
from hpcdl.fit import check_account, cores_per_rank, timeout_at
from hpcdl.job import Job
from hpcdl.settings import Settings
from hpcdl.site import Partition, Site

Options = dict[str, Any]
"""By long name, in the order of the script: a text, or True for an option without a value."""

ORDER = """array nodes ntasks ntasks-per-node cpus-per-task mem output error time account mail-user mail-type job-name
partition qos constraint gres gpus-per-node gpus-per-task reservation signal requeue open-mode""".split()
"""The order of the lines in a script, for the eye; others follow."""

LEADER_OPTIONS = {"output", "error", "mail-user", "mail-type", "job-name"}
"""What sbatch and Slurm take from the first component of a heterogeneous job for all of them."""

GPU_OPTIONS = {"gres", "gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket"}
PLAIN_VALUE = re.compile(r"[A-Za-z0-9%+,./:=@^_{}\[\]*()&|-]+", re.ASCII)


def sbatch_options(
    job: Job, site: Site, partition: Partition | None, settings: Settings, folder: Path | None = None
) -> Options:
    """Return the options for `job` in `partition` of `site`, with its logs in the run's `folder` if it is known.

    The job's resources, its log names, the user's account and address for mails, the site's partition and its own
    options; then the job's `slurm:` section, which replaces any of these but the resources (`false` leaves one out).

    Raises:
        JobFileError: `slurm:` says what `resources:` or `name:` already says.
        SiteError: the site wants an account, or refuses an option.
    """
    asked = _asked_for(job, site, partition)
    others: Options = {
        "output": _log_name(site.log_names.output, job, folder),
        "error": _log_name(site.log_names.error, job, folder),
        "account": settings.account_at(site.name) or False,
        "mail-user": settings.mail_user or False,
        **(partition.options if partition else {}),
        **site.options,
    }
    taken = asked.keys() | (GPU_OPTIONS if job.resources.gpus_per_node else set())
    for name in job.slurm:
        if name in taken:
            raise JobFileError(
                f"slurm.{name}: the job says this in other words (resources, name, on_timeout); change it there."
            )
        _check_name(name, site)
    merged = {**asked, **others, **job.slurm}
    check_account(str(merged["account"] or "") or None, site)
    rank = {name: place for place, name in enumerate(ORDER)}
    names = sorted((name for name in merged if merged[name] is not False), key=lambda name: rank.get(name, len(rank)))
    for name in names:
        if name in site.refuses:
            raise SiteError(f"--{name}: site {site.name} rejects a job with this option; leave out what asks for it.")
    return {name: merged[name] if merged[name] is True else str(merged[name]) for name in names}


def het_directives(components: Mapping[str, Options]) -> list[str]:
    """Return what stands behind `#SBATCH` for the components of a heterogeneous job, by the names of their groups.

    The first one is the job's leader. sbatch reads each later one on top of those before it, of which it forgets some
    options and keeps others (SchedMD/slurm, src/sbatch/opt.c); what it would keep against a group's words is refused.

    Raises:
        JobFileError: a group after the first says what Slurm takes from the first alone, or does not say what sbatch
            keeps from a group before it.
    """
    lines: list[str] = []
    leader: Options | None = None
    kept: Options = {}
    for name, options in components.items():
        if leader is not None:
            _check_group(name, options, leader, kept)
            options = {option: value for option, value in options.items() if option not in LEADER_OPTIONS}
            lines.append("hetjob")
        leader = options if leader is None else leader
        kept |= options
        lines += [directive(option, value) for option, value in options.items()]
    return lines


def directive(name: str, value: str | Literal[True]) -> str:
    r"""Return an option as it stands behind `#SBATCH`.

    sbatch's reading differs from a shell's: a backslash escapes inside single quotes too, an unquoted `#` begins a
    comment even inside a word, and nothing is expanded (SchedMD/slurm, src/sbatch/opt.c, _get_argument).

    >>> print(directive("comment", 'run #3 of "x"'))
    --comment="run #3 of \"x\""

    Raises:
        HpcdlError: no quoting can bring the value through: it is empty, or has a line break or another control
            character.
    """
    if value is True:
        return f"--{name}"
    text = str(value)
    if not text.isprintable() or not text.strip():
        raise HpcdlError(
            f"--{name}: {text!r} cannot stand in a batch script; give a value without line breaks, tabs or other "
            "control characters, or leave the option out."
        )
    if PLAIN_VALUE.fullmatch(text):
        return f"--{name}={text}"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'--{name}="{escaped}"'


def _check_group(name: str, options: Options, leader: Options, kept: Options) -> None:
    from hpcdl.slurm.sbatch.options import BY_NAME  # here: as in _check_name

    for option in LEADER_OPTIONS & options.keys():
        if options[option] != leader.get(option):
            raise JobFileError(
                f"groups: {name}: slurm.{option}: Slurm takes it from the first group for the whole job; say it in the "
                "job's own `slurm:`."
            )
    for option in sorted(kept.keys() - options.keys() - LEADER_OPTIONS):
        if option in BY_NAME and not BY_NAME[option].per_component:
            raise JobFileError(
                f"groups: {name}: has no --{option}, and sbatch would give it the {kept[option]} of a group before it; "
                "say it in each group, or put a group without it first."
            )


def _asked_for(job: Job, site: Site, partition: Partition | None) -> Options:
    """What the job's own resources come to at this site."""
    resources = job.resources
    options: Options = {"nodes": resources.nodes, "ntasks": resources.ranks}
    if resources.nodes > 1:  # on one node --ntasks says it all; on more Slurm may spread the ranks unevenly
        options["ntasks-per-node"] = resources.ranks_per_node
    if cores := cores_per_rank(resources, site, partition):
        options["cpus-per-task"] = cores
    if resources.memory_per_node_gib:
        options["mem"] = f"{resources.memory_per_node_gib}G"  # Slurm's G are GiB
    if job.sweep:
        throttle = f"%{job.sweep.throttle}" if job.sweep.throttle else ""
        options["array"] = f"0-{len(job.sweep.all_points()) - 1}{throttle}"
    return (
        options | {"time": resources.time, "job-name": job.name} | _gpu_option(job, site) | _before_the_limit(job, site)
    )


def _before_the_limit(job: Job, site: Site) -> Options:
    timeout = timeout_at(job, site)
    if timeout is None:
        return {}
    options: Options = {"signal": f"B:USR1@{timeout.signal_before_s}"}  # B: to the script, which knows what to do
    if timeout.requeues:
        options |= {"requeue": True, "open-mode": "append"}  # a later start must not empty the logs of the first
    return options


def _log_name(pattern: str, job: Job, folder: Path | None) -> str:
    """A log's name in sbatch's words; the tasks of an array have one each, in the folder of their point."""
    name = pattern.replace("%j", "%A_%a") if job.sweep else pattern
    name = name.replace("{prefix}", job.log_prefix.replace("%", "%%"))
    if folder is None:
        return name
    return "/".join([str(folder).replace("%", "%%"), *(["%a"] if job.sweep else []), name.rpartition("/")[2]])


def _check_name(name: str, site: Site) -> None:
    if name in ORDER or name in site.plugin_options:
        return
    from hpcdl.slurm.sbatch.options import BY_NAME  # here: the table takes longer to load than a script to render

    if name not in BY_NAME:
        near = difflib.get_close_matches(name, BY_NAME, n=1)
        hint = (
            f"Did you mean '{near[0]}'?" if near else "If a plugin of the site adds it, name it in its plugin_options."
        )
        raise JobFileError(f"slurm.{name}: sbatch has no such option. {hint}")


def _gpu_option(job: Job, site: Site) -> Options:
    wanted, gpu = job.resources.gpus_per_node, site.gpu
    if not wanted or gpu is None or gpu.request == "none":
        return {}
    typed = f"{gpu.type}:" if gpu.type else ""
    if gpu.request == "gres":
        return {"gres": f"gpu:{typed}{wanted}"}
    if gpu.request == "gpus-per-task":
        return {"gpus-per-task": f"{typed}{wanted // job.resources.ranks_per_node}"}
    return {"gpus-per-node": f"{typed}{wanted}"}
