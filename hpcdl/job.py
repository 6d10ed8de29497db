"""What a job file says: the intent of one experiment, free of any site's quirks."""

import hashlib
import json
import operator
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator, model_validator
from ruamel.yaml.error import YAMLError

from hpcdl import values, yamlfile
from hpcdl.errors import JobFileError
from hpcdl.exits import Exit
from hpcdl.search.section import Search
from hpcdl.sweep import Sweep
from hpcdl.timeout import SHORTEST_JOB_S, SLACK_S, OnTimeout
from hpcdl.training import Training
from hpcdl.values import VARIABLE, Command, OptionName, OptionValue, Positive, TimeLimit, VariableName
from hpcdl.yamlfile import Section

EXPECTATION = re.compile(r"\s*(>=|<=|>|<)\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*")
_NOT_WITH_GROUPS = {
    "train": "a job with `groups:` runs the command of each group; leave this section out",
    "command": "a job with `groups:` has a command in each group; leave this key out",
    "search": "Slurm has no arrays of heterogeneous jobs; leave this section out",
    "sweep": "Slurm has no arrays of heterogeneous jobs; submit jobs with `groups:` one by one",
    "on_timeout": "a job with `groups:` gets no signal before its limit and is not requeued; leave it out",
}
COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


class Resources(Section):
    """What the job needs, in words that hold at every site; the site decides how it is asked for."""

    nodes: Positive = 1
    ranks_per_node: Positive = 1
    """MPI ranks on each node; with GPUs usually one for each of them."""
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    gpus_per_rank: Positive | None = None
    """Another way to say gpus_per_node: as many for each rank."""
    memory_per_node_gib: Positive | None = None
    """Memory on each node in GiB; None leaves it to the site."""
    cores_per_rank: Positive | None = None
    """CPU cores of each rank; None leaves the number to the site."""
    time: TimeLimit
    """Time limit as HH:MM:SS or D-HH:MM:SS. Slurm's shorter forms are not taken: `24:00` is 24 minutes there."""

    @model_validator(mode="before")
    @classmethod
    def _gpus_of_all_ranks(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "gpus_per_rank" not in data:
            return data
        per_rank, ranks = data["gpus_per_rank"], data.get("ranks_per_node", 1)
        if not isinstance(per_rank, int) or not isinstance(ranks, int):
            return data  # the fields' own checks say what is wrong
        if data.get("gpus_per_node", per_rank * ranks) != per_rank * ranks:
            raise ValueError(
                f"gpus_per_node is {data['gpus_per_node']}, but {ranks} ranks with gpus_per_rank {per_rank} are "
                f"{per_rank * ranks}; give one of the two."
            )
        return {**data, "gpus_per_node": per_rank * ranks}

    @property
    def ranks(self) -> int:
        """The number of MPI ranks over all nodes."""
        return self.nodes * self.ranks_per_node

    @property
    def time_s(self) -> int:
        """The time limit in seconds."""
        return values.seconds(self.time)


class Group(Section):
    """One component of a heterogeneous job: nodes of one kind, and what runs on them."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    resources: Resources
    command: Command
    """What each rank of this group runs, as a job's own `command:`."""
    slurm: dict[OptionName, OptionValue] = Field(default={})
    """Options of sbatch for this group alone; they replace the job's."""


class Job(Section):
    """A whole job file."""

    model_config = ConfigDict(
        json_schema_extra={"required": ["name"], "anyOf": [{"required": ["resources"]}, {"required": ["groups"]}]}
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    resources: Resources
    """Of a job with groups these are the first group's, on whose first node the script runs."""
    groups: list[Group] = Field(default=[])
    """Two or more kinds of nodes in one job, each with a command of its own, instead of resources and a command."""
    train: Training | None = None
    command: Command | None = None
    """What each rank runs instead of a training of hpcdl's: a text, or a list of words. A text is cut into words as a
    shell does; nothing in it is expanded."""
    sweep: Sweep | None = None
    """Many runs instead of one, as a job array: a training with other values, or a command with other variables."""
    search: Search | None = None
    """Many trainings in generations, each chosen by what those before it reached; `hpcdl search` runs it."""
    on_timeout: OnTimeout | None = None
    """What happens when the time limit comes near; see `timeout`."""
    env: dict[VariableName, str] = Field(default={})
    """Environment variables of the job, taken literally; they come before the site's."""
    slurm: dict[OptionName, OptionValue] = Field(default={})
    """Any other option of sbatch, by its long name, in sbatch's own words; false takes out one that the site sets."""
    expect: dict[str, str] = Field(default={})
    """What the result must be, by column of the result table: {"test_accuracy": ">= 0.99"}."""

    @field_validator("expect")
    @classmethod
    def _expectations(cls, expect: dict[str, str]) -> dict[str, str]:
        for column, text in expect.items():
            if not EXPECTATION.fullmatch(text):
                raise ValueError(f'{column}: {text!r} is no comparison; write one such as ">= 0.99" (>=, <=, >, <).')
        return expect

    @model_validator(mode="before")
    @classmethod
    def _resources_of_the_first_group(cls, data: Any) -> Any:
        match data:
            case {"groups": [{"resources": first}, *_]} if "resources" not in data:
                return {**data, "resources": first}
        return data

    @model_validator(mode="after")
    def _groups_say_all(self) -> "Job":
        if not self.groups:
            return self
        names = [group.name for group in self.groups]
        if len(set(names)) < max(len(names), 2):
            raise ValueError(f"groups: {', '.join(names)}: give two or more, each with a name of its own.")
        if self.resources != self.groups[0].resources:
            raise ValueError("resources: a job with `groups:` has them in each group; leave this key out.")
        for key in ("train", "command", "sweep", "search", "on_timeout"):
            if getattr(self, key) is not None:
                raise ValueError(f"{key}: {_NOT_WITH_GROUPS[key]}.")
        return self

    @model_validator(mode="after")
    def _one_thing_to_run(self) -> "Job":
        if not self.groups and (self.train is None) == (self.command is None):
            found = "neither" if self.train is None else "both"
            raise ValueError(f"a job has either a `train:` section or a `command:`; this file has {found}.")
        return self

    @model_validator(mode="after")
    def _sweep_changes_what_is_run(self) -> "Job":
        for key in self.sweep.keys() if self.sweep else ():
            if self.train and not key.startswith("train."):
                raise ValueError(f"sweep: {key}: only values of the training can differ in one array; write train.KEY.")
            if not self.train and not VARIABLE.fullmatch(key):
                raise ValueError(
                    f"sweep: {key}: a command gets its values as variables; write a variable's name, such as "
                    "learning_rate, and {learning_rate} in the command."
                )
        if self.sweep and not self.train:
            for point in self.sweep.all_points():
                for key, value in point.items():
                    if not isinstance(value, str | int | float):
                        raise ValueError(f"sweep: {key}: {value!r} cannot be a variable; give texts and numbers.")
        return self

    @model_validator(mode="after")
    def _search_of_trainings(self) -> "Job":
        if self.search and self.sweep:
            raise ValueError("search and sweep both say what differs; leave one of them out.")
        if self.search and not self.train:
            raise ValueError("search: looks for a better training, and this job runs a `command:`; sweep that instead.")
        return self

    @model_validator(mode="after")
    def _time_for_a_notice(self) -> "Job":
        asked = self.on_timeout
        if asked and asked.requeues and self.slurm.get("no-requeue"):
            raise ValueError("slurm.no-requeue: forbids what on_timeout.requeues asks for; leave one of them out.")
        if asked and asked.signal_before_s + SLACK_S >= self.resources.time_s:
            raise ValueError(
                f"on_timeout.signal_before: {asked.signal_before} (and the minute by which Slurm may be early) leaves "
                f"nothing of resources.time {self.resources.time}; ask for more time or a shorter notice."
            )
        if asked and self.train and (asked.exit_code != Exit.STOPPED or asked.checkpoint_command):
            raise ValueError(
                "on_timeout: exit_code and checkpoint_command are for a `command:`; a training writes its checkpoint "
                "by itself, leave them out."
            )
        return self

    @property
    def components(self) -> list["Job"]:
        """A job of its own for each group, without groups; the job itself where it has none."""
        return [
            self.model_copy(
                update={
                    "groups": [],
                    "resources": group.resources,
                    "command": group.command,
                    "slurm": {**self.slurm, **group.slurm},
                }
            )
            for group in self.groups
        ] or [self]

    @property
    def ranks(self) -> int:
        """The number of ranks over all groups."""
        return sum(component.resources.ranks for component in self.components)

    @property
    def timeout(self) -> OnTimeout | None:
        """What happens before the time limit: what the file says, else the defaults for trainings that are not short.

        None for commands that do not ask, and where `slurm:` has a signal of its own.
        """
        if self.on_timeout or self.train is None or self.resources.time_s < SHORTEST_JOB_S or "signal" in self.slurm:
            return self.on_timeout
        return OnTimeout(requeues=0) if self.slurm.get("no-requeue") else OnTimeout()

    @property
    def training(self) -> Training:
        """The `train:` section.

        Raises:
            JobFileError: the job runs a command instead.
        """
        if self.train is None:
            what = "`groups:`, which only Slurm starts (hpcdl submit)," if self.groups else "a `command:`"
            raise JobFileError(f"job {self.name} has {what} and no `train:` section: there is nothing to train.")
        return self.train

    def check_no_search(self) -> None:
        """Refuse a job whose file asks for many trainings where one is to be run.

        Raises:
            JobFileError: it has a `search:` section.
        """
        if self.search:
            raise JobFileError(
                f"job {self.name} has a `search:` section: hpcdl search trains it; --set search=null leaves the "
                "search out."
            )

    @property
    def log_prefix(self) -> str:
        """How the names of the job's logs begin, as in the lecture's `mnist_out.1234`."""
        return self.train.data.title if self.train else self.name

    @property
    def digest(self) -> str:
        """A SHA-256 over all that the job says: ranks of one run must have the same."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def unmet(self, result: Mapping[str, Any]) -> list[str]:
        """Return the expectations that `result` (by column; a `metric.` before it is not needed) does not meet."""
        missed = []
        for column, text in self.expect.items():
            match = EXPECTATION.fullmatch(text)
            assert match, "checked by _expectations"
            plain = column.removeprefix("metric.")
            value = result.get(plain, result.get(f"metric.{plain}"))
            if value is None or not COMPARISONS[match[1]](value, float(match[2])):
                missed.append(f"{column} is {value}, expected {text}")
        return missed


def load_job(path: Path | str, overrides: dict[str, Any] | None = None) -> Job:
    """Read and check a job file.

    Args:
        path: the job file (YAML).
        overrides: values that replace the file's, by dotted key: {"train.epochs": 1}.

    Raises:
        JobFileError: one line for each fault: file, line, key, what came, what is allowed.
    """
    return yamlfile.load(path, Job, JobFileError, overrides)


def parse_changes(changes: list[str] | None) -> dict[str, Any]:
    """Return `--set` options as overrides by dotted key.

    >>> parse_changes(["train.epochs=1", "train.optimizer.name=sgd"])
    {'train.epochs': 1, 'train.optimizer.name': 'sgd'}

    Raises:
        JobFileError: an option is not KEY=VALUE, or its value is no YAML.
    """
    overrides = {}
    for change in changes or []:
        key, separator, text = change.partition("=")
        if not separator or not all(key.split(".")):
            raise JobFileError(f"--set {change}: write KEY=VALUE, such as train.epochs=1.")
        try:
            overrides[key] = yamlfile.parse_value(text)
        except YAMLError:
            raise JobFileError(f"--set {change}: the value is not valid YAML; put it in quotes.") from None
    return overrides
