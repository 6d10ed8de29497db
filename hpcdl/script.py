"""From a job, a site and the user's settings to the text of a batch script: pure, it touches nothing.

The words of the script stand in templates/; what is decided or computed is decided here.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from hpcdl import resources
from hpcdl.errors import HpcdlError, JobFileError
from hpcdl.fit import check_gpus, choose_partition, timeout_at
from hpcdl.job import Job
from hpcdl.pbs import pbs_directives
from hpcdl.sbatch import Options, het_directives, sbatch_options
from hpcdl.settings import Settings
from hpcdl.site import Partition, Site
from hpcdl.sweep import Point

TEMPLATES = {"slurm": "slurm.sh.j2", "pbs": "pbs.sh.j2", "none": "base.sh.j2"}
"""The template for each kind of scheduler."""

OWN_VARIABLES = frozenset(
    """id job point restart failed signal decision reason stopped code answer steps ended
    HPCDL_RUN_FOLDER""".split()
)
"""The variables that the templates use for themselves; a job's own may not be called so."""


class ShellWord(str):
    """A word of a command line that is the shell's already, not to be quoted."""


def render(
    job: Job,
    job_file: str,
    site: Site,
    settings: Settings,
    changes: Sequence[str] = (),
    folder: Path | None = None,
    queue: Path | None = None,
    through: Sequence[str] = (),
) -> str:
    """Return the batch script of a job at a site.

    Args:
        job: what to run, changes already applied.
        job_file: the job file's path, as the script shall name it: absolute, or relative to where sbatch is called.
        site: where to run.
        settings: the user's own.
        changes: the `--set` texts that made `job` out of the file; the ranks read the file with the same ones.
        folder: the run's folder, absolute, where it is known before the job has an id; the logs go there too. It is
            there when the job starts, and of a sweep its folder for each point, INDEX/. None: the script makes
            runs/NAME-ID/ where sbatch is called, runs/NAME-ID/INDEX/ for each point of a sweep.
        queue: a file that appears, whole, when the run has ended well; of a sweep a folder with one for each point.
        through: words of a program that is given the command to start, and starts it itself.

    Raises:
        HpcdlError: the site cannot run the job, or a value cannot stand in a script.
    """
    if job.groups and not (site.scheduler == "slurm" and site.launch.program == "srun"):
        raise JobFileError(
            f"groups: only Slurm and its srun start a heterogeneous job, and site {site.name} has not both. Choose "
            "another site, or submit each group as a job of its own."
        )
    job.check_no_search()
    components = job.components
    partitions = [choose_partition(component, site) for component in components]
    for component, place in zip(components, partitions, strict=True):
        check_gpus(component.resources, site, place)
    partition = partitions[0]
    options: list[Options] = [{} for _ in components]
    directives: list[str] = []
    if site.scheduler == "slurm":
        pairs = zip(components, partitions, strict=True)
        options = [sbatch_options(component, site, place, settings, folder) for component, place in pairs]
        directives = het_directives(dict(zip([group.name for group in job.groups] or [job.name], options, strict=True)))
    elif site.scheduler == "pbs":
        directives = pbs_directives(job, site, partition, settings)
    commands = [
        list(through)
        + launch(component, site, place, given.get("cpus-per-task"), number if job.groups else None)
        + payload(component, job_file, changes)
        for number, (component, place, given) in enumerate(zip(components, partitions, options, strict=True))
    ]
    variables = site.env | job.env
    points = job.sweep.all_points() if job.sweep else []
    for name in [*variables, *(job.sweep.keys() if job.sweep else ())]:
        if name in OWN_VARIABLES:
            raise HpcdlError(f"variable {name}: the batch script uses this name for itself; take another one.")
    names = {
        "site": site,
        "job": job,
        "run_folder": run_folder(job, folder),
        "ntasks": str(job.ranks),
        "timeout": timeout_at(job, site),
        "tell_ranks": lambda signal: tell_ranks(signal, site),
        "directives": directives,
        "cluster_module": partition.cluster_module if partition else None,
        "modules": settings.modules_at(site.name),
        "venv": settings.venv_at(site.name),
        "env": variables,
        "scratch": scratch(job, site),
        "points": [str(number) for number in range(len(points))],
        "point_variables": [(str(number), _texts(point)) for number, point in enumerate(points) if job.command],
        "commands": commands,
        "queue": quote(str(queue)) + ("/$point" if job.sweep else "") if queue else None,
    }
    template = TEMPLATES[site.scheduler]
    try:
        return _environment(settings).get_template(template).render(names)
    except TemplateError as fault:
        where = f"{fault.name}:{fault.lineno}" if isinstance(fault, TemplateSyntaxError) else template
        raise HpcdlError(f"template {where}: {fault}. Correct it in your folder of templates.") from None


def launch(job: Job, site: Site, partition: Partition | None, cores: str | None, group: int | None = None) -> list[str]:
    """Return the words that start, on all ranks, the command behind them: ["mpirun", "-n", "2"].

    Args:
        partition: the partition the job runs in, if the site has any.
        cores: what sbatch was told by --cpus-per-task, if anything.
        group: the place, from 0, of the component of a heterogeneous job that `job` is.
    """
    if site.launch.program == "srun":
        words = ["srun"] if group is None else ["srun", f"--het-group={group}"]
        words.append("--kill-on-bad-exit=1")  # without it the other ranks wait for a dead one until the time limit
        if site.launch.mpi:
            words.append(f"--mpi={site.launch.mpi}")
        if cores:  # Slurm 22.05 to 23.02: srun does not take it from the allocation
            words.append(f"--cpus-per-task={cores}")
    elif site.launch.program == "mpirun":
        words = ["mpirun", "-n", str(job.resources.ranks)]
    elif site.launch.program == "mypmirun":  # by itself it starts one rank for each core or GPU
        words = ["mypmirun", f"--hybrid={job.resources.ranks_per_node}"]
    else:
        words = ["ibrun"]  # takes nodes and ranks from the allocation
    return words + site.launch.options + (partition.launch_options if partition else []) + site.launch.wrapper


def run_folder(job: Job, folder: Path | None) -> str:
    """Return the run's folder in the words of the script: known, or made of the job's id; each point has its own."""
    base = quote(str(folder)) if folder else f"$PWD/runs/{job.name}-$id"
    return f"{base}/$point" if job.sweep else base


def tell_ranks(signal: str, site: Site) -> list[str]:
    """Return the words that send a signal to all ranks: through Slurm where they are its steps, else through mpirun.

    srun hands a signal that it gets on to its ranks too, but takes SIGTERM for an order to kill them.
    """
    if site.launch.program == "srun":
        return ["scancel", f"--signal={signal}", ShellWord('"$job"')]
    return ["pkill", f"-{signal}", "-P", ShellWord("$!")]


def payload(job: Job, job_file: str, changes: Sequence[str]) -> list[str]:
    """Return the words of what each rank runs: the job's own command, or hpcdl's trainer with the job file."""
    if job.command:
        return [with_variables(word, job.sweep.keys()) for word in job.command] if job.sweep else job.command
    point = ["--point", ShellWord('"$point"')] if job.sweep else []
    return ["hpcdl", "train", job_file, *(word for change in changes for word in ("--set", change)), *point]


def with_variables(word: str, names: Sequence[str]) -> str:
    """Return a word of a command with each `{name}` of a variable replaced by that variable.

    >>> print(with_variables("--lr={rate}", ["rate"]), with_variables("{other}", ["rate"]))
    --lr="$rate" {other}
    """
    parts = re.split(r"\{(" + "|".join(map(re.escape, names)) + r")\}", word)
    if len(parts) == 1:
        return word
    quoted = (f'"${part}"' if number % 2 else quote(part) if part else "" for number, part in enumerate(parts))
    return ShellWord("".join(quoted))


def _texts(point: Point) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in point.items()}


def scratch(job: Job, site: Site) -> str | None:
    """Return the node's own disk as a word of the script, for a training that copies its data there."""
    named = site.nodes.scratch
    if not named or not job.train or not job.train.data.stage or "HPCDL_SCRATCH" in job.env:
        return None
    return quote(named) if named.startswith("/") else f'"${named}"'


def _environment(settings: Settings) -> Environment:
    """Jinja with the user's own templates first; ours are also there as hpcdl/NAME, so that one can extend them."""
    ours = FileSystemLoader(resources.folder("templates"))
    own = settings.folder("templates")
    loaders: list[BaseLoader] = [FileSystemLoader(own)] if own else []
    environment = Environment(
        loader=ChoiceLoader([*loaders, ours, PrefixLoader({"hpcdl": ours})]),
        undefined=StrictUndefined,  # a misspelt name is an error, not an empty word
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # this is no HTML; every value goes through one of the filters below
    )
    environment.filters |= {"quote": quote, "words": words, "line": line}
    return environment


def quote(value: str) -> str:
    """Return a text as one word of a shell.

    Raises:
        HpcdlError: it holds a NUL character, which no argument can hold.
    """
    if "\0" in value:
        raise HpcdlError(f"{value!r} holds a NUL character, which cannot stand in a script.")
    return shlex.quote(value)


def words(values: Sequence[str]) -> str:
    """Return a command line: each value one word."""
    return " ".join(value if isinstance(value, ShellWord) else quote(value) for value in values)


def line(value: str | int) -> str:
    """Return a number, or a text that was checked or quoted before (a variable's name, a directive), as it is.

    Raises:
        HpcdlError: it would break the line.
    """
    text = str(value)
    if not text.isprintable():
        raise HpcdlError(f"{text!r} must be one line without tabs and other control characters.")
    return text
