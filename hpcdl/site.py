"""What a site profile says: how this machine wants to be asked, and its limits, each with source and date.

A fact that nobody sourced stays out of a profile: None means unknown, and nothing is checked against it.
"""

import difflib
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
    """CPU cores that go with one GPU; a job that names no cores gets as many."""

    @staticmethod
    def _choices() -> set[str]:
        return {"request", "type"}


class Partition(Fact):
    """A kind of node a job can ask for. Limits that are not known are left out."""

    kind: Literal["cpu", "gpu"]
    """The jobs that belong here: with GPUs or without."""
    options: dict[OptionName, str] = Field(default={})
    """The sbatch options that choose it; by default --partition with the name under which it stands."""
    min_nodes: Positive | None = None
    max_nodes: Positive | None = None
    max_time: TimeLimit | None = None
    gpus_per_node: Positive | None = None
    cores_per_node: Positive | None = None

    @staticmethod
    def _choices() -> set[str]:
        return {"kind", "options"}


class Modules(Section):
    """Environment modules, in the order in which the script loads them."""

    purge: bool = False
    use: list[str] = Field(default=[])
    load: list[str] = Field(default=[])
    restore: str | None = None
    """A collection that the user has saved with `module save NAME`."""


class Launch(Section):
    """How the ranks are started inside the allocation."""

    program: Literal["srun", "mpirun"] = "srun"
    mpi: str | None = None
    """srun --mpi, such as pmix; Open MPI 5 started by srun without it is rank 0 of 1 everywhere."""
    options: list[str] = Field(default=[])
    """Further options, one word each."""


class LogNames(Section):
    """Names of the logs in Slurm's words; {prefix} is the job's own."""

    output: str = "{prefix}_out.%j"
    error: str = "{prefix}_err.%j"


class Site(Section):
    """A whole site profile."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """The name of its file without .yaml."""
    title: str
    """What it is, in one line for a person."""
    docs: str | None = None
    """The address of the site's own manual."""
    scheduler: Literal["slurm", "none"]
    """none: no queue; the script runs where it is started."""
    shell: Annotated[str, Field(pattern=r"^/[ -~]+$")] = "/bin/bash"
    """What stands behind the script's `#!`."""
    gpu: Gpu | None = None
    partitions: dict[str, Partition] = Field(default={})
    """By name; of those that fit a job's kind the first is taken unless the job names one."""
    options: dict[OptionName, OptionValue] = Field(default={})
    """sbatch options for every job here."""
    account_required: bool = False
    modules: Modules = Modules()
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


def load_site(name: str, own: Path | None = None) -> Site:
    """Read and check a site profile.

    Args:
        name: the name of a profile, or the path of one (it has a slash or ends in .yaml).
        own: the user's own folder of profiles, which comes first.

    Raises:
        SiteError: there is no such profile, or something in it is wrong.
    """
    if "/" in name or name.endswith(".yaml"):
        path = Path(name)
    else:
        files = site_files(own)
        if name not in files:
            near = difflib.get_close_matches(name, files, n=1)
            hint = f"Did you mean '{near[0]}'? " if near else ""
            raise SiteError(f"no site '{name}'. {hint}There are {', '.join(sorted(files))}; or give a profile's path.")
        path = files[name]
    site = yamlfile.load(path, Site, SiteError)
    if site.name != path.stem:
        raise SiteError(f"{path}: name: {site.name!r} is not the name of its file; write `name: {path.stem}`.")
    return site
