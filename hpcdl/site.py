"""What a site profile says: how this machine wants to be asked, and its limits, each with source and date.

A fact that nobody sourced stays out of a profile: None means unknown, and nothing is checked against it.
"""

import difflib
import fnmatch
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from hpcdl import resources, yamlfile
from hpcdl.errors import SiteError
from hpcdl.values import OptionName, OptionValue, Positive, TimeLimit, VariableName
from hpcdl.yamlfile import Section


class Fact(Section):
    """Something about a machine that somebody read somewhere, and that drifts."""

    source: str | None = None
    """Where it was read: an address or a repository and its commit."""
    as_of: Annotated[str, Field(pattern=r"^\d{4}(-\d\d){0,2}$")] | None = None
    """When it held: "2021", "2021-11" or "2021-11-05"."""

    @model_validator(mode="after")
    def _facts_are_sourced(self) -> "Fact":
        facts = self.model_fields_set - {"source", "as_of", *self._choices()}
        if facts and not (self.source and self.as_of):
            named = ", ".join(sorted(facts))
            raise ValueError(f"{named}: a limit needs its `source` and `as_of`; leave out what has none.")
        return self

    @staticmethod
    def _choices() -> set[str]:
        """The keys that are no facts about the machine but choices of the profile."""
        return set()


class Nodes(Fact):
    """The compute nodes of the site."""

    architecture: Literal["x86_64", "aarch64"] | None = None
    """What programs must be built for; those of a login node of another kind do not run."""
    internet: Literal["yes", "no", "proxy"] | None = None
    """Whether a compute node reaches the internet: data and packages must be fetched before where it does not."""
    shared: bool | None = None
    """Whether jobs share a node; where not, a job pays for whole nodes."""
    scratch: Annotated[str, Field(pattern=r"^(/[ -~]*|[A-Za-z_][A-Za-z0-9_]*)$")] | None = None
    """The folder, or the variable that names it, for files that live on the node as long as the job."""
    host_suffix: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]*$")] = ""
    """What is added to a node's name to reach it over the fast network ("i" at JSC)."""


class Account(Fact):
    """The budget that pays for a job (sbatch --account)."""

    required: bool = False
    patterns: list[str] = Field(default=[])
    """What accounts look like here, with `*` for any text: ["project_*"]."""


class Gpu(Fact):
    """The GPUs of the site and how a job asks for them."""

    request: Literal["gres", "gpus-per-node", "gpus-per-task", "none"]
    """The sbatch option that asks for GPUs; none: the site wants no GPU option (whole nodes, or it refuses one)."""
    type: str | None = None
    """Slurm's name of the GPU type where the site wants it: --gres=gpu:TYPE:N."""
    per_node: Positive | None = None
    """GPUs on a node, as Slurm counts them."""
    model: str | None = None
    vendor: Literal["nvidia", "amd"] | None = None
    cores_per_gpu: Positive | None = None
    """CPUs, as Slurm counts them, that go with one GPU; a job that names no cores gets as many."""

    @staticmethod
    def _choices() -> set[str]:
        return {"request", "type"}


class Interconnect(Fact):
    """How fast nodes, and ranks of one node, reach each other; `hpcdl predict` counts with it."""

    gb_per_s: Annotated[float, Field(gt=0)] | None = None
    """What a node sends while it receives as much, all its network cards together, in GB/s (10^9 bytes): 12.5 for one
    card of 100 Gbit/s."""
    latency_us: Annotated[float, Field(gt=0)] | None = None
    """The time of one small message between two nodes, in microseconds."""
    inner_gb_per_s: Annotated[float, Field(gt=0)] | None = None
    """What one rank sends to another of its node while it receives as much, in GB/s."""


class TimeByNodes(Section):
    """The longest time of a job up to this number of nodes."""

    nodes: Positive
    max_time: TimeLimit


class Partition(Fact):
    """A kind of node a job can ask for: a partition, a QOS or a constraint. Limits that are not known are left out."""

    kind: Literal["cpu", "gpu"]
    """The jobs that belong here: with GPUs or without."""
    options: dict[OptionName, str] = Field(default={})
    """The sbatch options that choose it; by default --partition with the name under which it stands."""
    cluster_module: str | None = None
    """The module that must be loaded where the job is submitted, instead of an option."""
    launch_options: list[str] = Field(default=[])
    """Options of the launcher that belong to these nodes only, such as a CPU mask."""
    min_nodes: Positive | None = None
    max_nodes: Positive | None = None
    max_time: TimeLimit | None = None
    max_time_by_nodes: list[TimeByNodes] = Field(default=[])
    """Where the longest time depends on the number of nodes, from the smallest number up."""
    max_node_time: TimeLimit | None = None
    """The longest product of nodes and time."""
    gpus_per_node: Positive | None = None
    gpu_model: str | None = None
    cores_per_gpu: Positive | None = None
    """As the site's own, where the partitions differ."""
    network: Interconnect | None = None
    """Likewise."""
    cores_per_node: Positive | None = None
    """CPUs of a node, as Slurm counts them."""
    memory_gib: Positive | None = None
    """Memory of a node that a job can have."""

    def longest_time(self, nodes: int) -> str | None:
        """The longest time of a job on this number of nodes, None where no limit is known."""
        return next((step.max_time for step in self.max_time_by_nodes if nodes <= step.nodes), self.max_time)

    @staticmethod
    def _choices() -> set[str]:
        return {"kind", "options", "launch_options", "network"}


class Modules(Section):
    """Environment modules, in the order in which the script loads them."""

    purge: bool = False
    use_variable: VariableName | None = None
    """A variable of the site that names a folder of modules: OTHERSTAGES at JSC."""
    use: list[str] = Field(default=[])
    restore: str | None = None
    """A collection that the user has saved with `module save NAME`."""
    load: list[str] = Field(default=[])
    """Modules, a stage first."""


class Launch(Section):
    """How the ranks are started inside the allocation."""

    program: Literal["srun", "mpirun", "ibrun", "mypmirun"] = "srun"
    mpi: str | None = None
    """srun --mpi, such as pmix; Open MPI 5 started by srun without it is rank 0 of 1 everywhere."""
    options: list[str] = Field(default=[])
    """Further options of the program, one word each."""
    wrapper: list[str] = Field(default=[])
    """Words before the command of each rank, such as a program that chooses the rank's GPU."""


class LogNames(Section):
    """Names of the logs in Slurm's words; {prefix} is the job's own."""

    output: str = "{prefix}_out.%j"
    error: str = "{prefix}_err.%j"


class Signs(Section):
    """How to know that this machine belongs to the site: one sign is enough."""

    environment: dict[VariableName, str] = Field(default={})
    """Variables and their values."""
    files: dict[str, str] = Field(default={})
    """Files and what they hold, blanks at the ends apart."""
    hostnames: list[str] = Field(default=[])
    """Host names, with `*` for any text."""


class Site(Section):
    """A whole site profile."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """The name of its file without .yaml."""
    title: str
    """What it is, in one line for a person."""
    docs: str | None = None
    """The address of the site's own manual."""
    scheduler: Literal["slurm", "pbs", "none"]
    """pbs: Slurm or Torque behind qsub; none: no queue, the script runs where it is started."""
    signs: Signs = Signs()
    shell: Annotated[str, Field(pattern=r"^/[ -~]+$")] = "/bin/bash"
    """What stands behind the script's `#!`."""
    nodes: Nodes = Nodes()
    account: Account = Account()
    gpu: Gpu | None = None
    network: Interconnect | None = None
    partitions: dict[str, Partition] = Field(default={})
    """By name; of those that fit a job's kind the first is taken unless the job names one."""
    options: dict[OptionName, OptionValue] = Field(default={})
    """sbatch options for every job here."""
    refuses: list[OptionName] = Field(default=[])
    """sbatch options that the site rejects."""
    plugin_options: list[OptionName] = Field(default=[])
    """Options that plugins of the site add to sbatch; a plain sbatch does not know them."""
    modules: Modules = Modules()
    software: Literal["venv", "container"] | None = None
    """Where the Python packages come from at this site, as its manual advises."""
    env: dict[VariableName, str] = Field(default={})
    """Environment variables, taken literally: nothing in them is expanded."""
    launch: Launch = Launch()
    log_names: LogNames = LogNames()

    @field_validator("partitions")
    @classmethod
    def _options_by_default(cls, partitions: dict[str, Partition]) -> dict[str, Partition]:
        return {
            name: partition if partition.options else partition.model_copy(update={"options": {"partition": name}})
            for name, partition in partitions.items()
        }


def site_files(own: Path | None = None) -> dict[str, Path]:
    """Return the profiles by name: those of the user's own folder, then those that come with hpcdl."""
    files: dict[str, Path] = {}
    for folder in (own, resources.folder("envs")):
        if folder:
            for path in sorted(folder.glob("*.yaml")):
                files.setdefault(path.stem, path)
    return files


def find_site(name: str, own: Path | None = None) -> Path:
    """Return the file of a profile.

    Args:
        name: the name of a profile, or the path of one (it has a slash or ends in .yaml).
        own: the user's own folder of profiles, which comes first.

    Raises:
        SiteError: there is no profile of that name.
    """
    if "/" in name or name.endswith(".yaml"):
        return Path(name)
    files = site_files(own)
    if name not in files:
        near = difflib.get_close_matches(name, files, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise SiteError(f"no site '{name}'. {hint}There are {', '.join(sorted(files))}; or give a profile's path.")
    return files[name]


def load_site(name: str, own: Path | None = None) -> Site:
    """Read and check a site profile, found as `find_site` finds it.

    Raises:
        SiteError: there is no such profile, or something in it is wrong.
    """
    path = find_site(name, own)
    site = yamlfile.load(path, Site, SiteError)
    if site.name != path.stem:
        raise SiteError(f"{path}: name: {site.name!r} is not the name of its file; write `name: {path.stem}`.")
    return site


def detect(sites: Iterable[Site], environ: Mapping[str, str] = os.environ, hostname: str | None = None) -> Site | None:
    """Return the first site one of whose signs this machine shows, None when there is no such site."""
    hostname = hostname or socket.gethostname()
    return next((site for site in sites if _shows(site.signs, environ, hostname)), None)


def _shows(signs: Signs, environ: Mapping[str, str], hostname: str) -> bool:
    return (
        any(environ.get(name) == value for name, value in signs.environment.items())
        or any(_text(Path(path)) == content for path, content in signs.files.items())
        or any(fnmatch.fnmatchcase(hostname, pattern) for pattern in signs.hostnames)
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
