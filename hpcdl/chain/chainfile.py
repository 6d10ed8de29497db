"""What a chain file says: stages, each an ordinary job, what each waits for, and how their models are ranked."""

import difflib
import hashlib
import json
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hpcdl import yamlfile
from hpcdl.errors import HpcdlError
from hpcdl.job import Job, Resources, load_job
from hpcdl.points import load_points
from hpcdl.values import OptionName, OptionValue, Positive
from hpcdl.yamlfile import Section

Condition = Literal["all", "any", "each", "ended"]
"""What a stage waits for in another: all: that all of its runs are COMPLETED; any: that one of them is; ended: that all
have ended, however; each: it runs at the same time, from the first one's start, over its models as they come."""

MODEL, RESULTS = "{model}", "{results}"
"""In the command of a stage with `each`: the folder of the model's run, and a folder for what is found out about it."""
PREDICTIONS = "predictions.csv"
RESERVED = ("queue", "ranking")


class ChainFileError(HpcdlError):
    """A chain file or a value in it is wrong."""


class Stage(Section):
    """One job of a chain, or with a `sweep:` one array of jobs."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=40)]
    job: Job | None = None
    """The job, as in a job file; its name is CHAIN-STAGE unless it has one."""
    job_file: str | None = None
    """Instead of `job:` the path of a job file, from the chain file's folder."""
    set: dict[str, Any] = Field(default={})
    """Values that replace those of the job file, by dotted key: {slurm.partition: gpus}."""
    after: dict[str, Condition] = Field(default={})
    """The stages that this one waits for, and what it waits for in them; without any it begins at once."""
    predict: str | None = None
    """Instead of a command in `job:`, for a stage with `each`: the data set, or the folder of images, that every model
    predicts (hpcdl predict-images)."""

    @property
    def sources(self) -> list[str]:
        """The stages whose models this one takes from the queue, as they come."""
        return [name for name, condition in self.after.items() if condition == "each"]

    @property
    def whole(self) -> Job:
        """The job, which every stage has once its chain is loaded."""
        assert self.job
        return self.job


class Ranking(Section):
    """The last component: it follows all stages, however they end, and ranks the models that there are."""

    by: str
    """The number that decides: a measure of the predictions (accuracy; mae for a regression); in a chain without a
    stage that takes models a column of `hpcdl collect`, such as test_accuracy."""
    best: Literal["highest", "lowest"] = "highest"
    keep: Positive | None = None
    """How many of the best are kept; the others are discarded. None keeps all."""
    remove_discarded: bool = False
    """Remove checkpoints and saved models of what is discarded; otherwise the ranking only says so."""
    resources: Resources
    slurm: dict[OptionName, OptionValue] = Field(default={})


class Chain(Section):
    """A whole chain file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=50)]
    stages: Annotated[list[Stage], Field(min_length=1)]
    ranking: Ranking

    @model_validator(mode="before")
    @classmethod
    def _jobs_are_whole(cls, data: Any) -> Any:
        match data:
            case {"name": str(name), "stages": list(stages)}:
                return {**data, "stages": [_completed(name, stage) for stage in stages]}
        return data

    @model_validator(mode="after")
    def _stages_fit_together(self) -> "Chain":
        for fault in _faults(self.stages):
            raise ValueError(fault)
        return self

    def stage(self, name: str) -> Stage:
        """Return the stage of that name.

        Raises:
            ChainFileError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise ChainFileError(f"chain {self.name} has no stage {name}{_nearest(name, self.stages)}.")

    @property
    def in_order(self) -> list[Stage]:
        """The stages, each behind those that it waits for, else as in the file."""
        ordered: dict[str, Stage] = {}
        while len(ordered) < len(self.stages):
            ready = (
                stage for stage in self.stages if stage.name not in ordered and stage.after.keys() <= ordered.keys()
            )
            first = next(ready)
            ordered[first.name] = first
        return list(ordered.values())

    def taker(self, name: str) -> Stage | None:
        """Return the stage that takes the models of stage `name` from the queue."""
        return next((stage for stage in self.stages if name in stage.sources), None)

    @property
    def model_stages(self) -> list[Stage]:
        """The stages whose runs are the models to rank: those that are taken from; without any, all trainings."""
        taken = [stage for stage in self.stages if self.taker(stage.name)]
        return taken or [stage for stage in self.stages if stage.job and stage.job.train]

    @property
    def ranking_job(self) -> Job:
        """The job of the ranking, without its command."""
        asked = self.ranking
        return Job(name=f"{self.name}-ranking", resources=asked.resources, slurm=asked.slurm, command=["hpcdl"])

    @property
    def digest(self) -> str:
        """A SHA-256 over all that the chain says."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def load_chain(path: Path) -> Chain:
    """Read and check a chain file, and the job files that it names: every stage then has its job.

    Raises:
        ChainFileError: one line for each fault: file, line, key, what came, what is allowed.
        JobFileError: a fault in a job file.
    """
    chain = yamlfile.load(path, Chain, ChainFileError)
    stages = []
    for stage in chain.stages:
        job = stage.job
        if stage.job_file:
            file = path.parent / stage.job_file
            job = load_job(file, stage.set)
            if job.sweep:
                load_points(file, stage.set)
        stages.append(stage.model_copy(update={"job": job, "job_file": None, "set": {}, "predict": None}))
        for fault in _job_faults(stages[-1]):
            raise ChainFileError(f"{path}: stage {stage.name}: {fault}")
    whole = chain.model_copy(update={"stages": stages})
    if not whole.model_stages:
        raise ChainFileError(
            f"{path}: ranking: there is nothing to rank: no stage has a `train:`, or is taken from by `each`."
        )
    return whole


def _completed(chain: str, stage: Any) -> Any:
    """Give a stage's own job the name that it may leave out, and the command for which `predict:` stands."""
    match stage:
        case {"name": str(name), "job": dict(job)}:
            predicts = stage.get("predict")
            command = ["hpcdl", "predict-images", MODEL, predicts, "-o", f"{RESULTS}/{PREDICTIONS}"]
            given = {"command": command} if isinstance(predicts, str) else {}
            return {**stage, "job": {"name": f"{chain}-{name}", **given, **job}}
    return stage


def _faults(stages: Sequence[Stage]) -> Iterator[str]:
    """Yield what is wrong between stages, and in what they say beside their jobs."""
    names = [stage.name for stage in stages]
    for name in names:
        if names.count(name) > 1:
            yield f"stages: two are called {name}; give each a name of its own."
        if name in RESERVED:
            yield f"stages: {name} is a name of hpcdl's own; take another one."
    for stage in stages:
        where = f"stage {stage.name}"
        for other in stage.after:
            if other not in names:
                yield f"{where}: after: there is no stage {other}{_nearest(other, stages)}."
        if (stage.job is None) == (stage.job_file is None):
            yield f"{where}: give either `job:` or `job_file:`."
        if stage.set and stage.job:
            yield f"{where}: set: is for a job_file; write the values into `job:`."
        if stage.predict and not (stage.job and stage.sources):
            yield (
                f"{where}: predict: takes models from a queue that nobody feeds; name a stage by "
                "`after: {STAGE: each}`, and give the resources in `job:`."
            )
        if len(set(stage.after.values())) > 1 and {"any", "each"} & set(stage.after.values()):
            yield f"{where}: after: Slurm mixes `any` and `each`, of which one is enough, with no other condition."
    try:
        TopologicalSorter({stage.name: list(stage.after) for stage in stages}).prepare()
    except CycleError as fault:
        yield f"stages: each of {' -> '.join(fault.args[1])} waits for the one before it; take one `after:` out."
    taken: dict[str, str] = {}
    for stage in stages:
        for source in stage.sources:
            if next(other for other in stages if other.name == source).sources:
                yield f"stage {stage.name}: after: {source} takes models from a queue itself and puts none into one."
            if taken.setdefault(source, stage.name) != stage.name:
                yield f"stage {stage.name}: after: the models of {source} are taken by stage {taken[source]} already."


def _job_faults(stage: Stage) -> Iterator[str]:
    """Yield what is wrong with the job of a stage."""
    job = stage.whole
    if "dependency" in job.slurm:
        yield "slurm.dependency: `after:` says it here; leave it out."
    if not stage.sources:
        return
    if job.command is None or not any(MODEL in word for word in job.command):
        yield f"it takes models as they come: give `predict:`, or a job whose command has {MODEL} in it."
    if job.sweep:
        yield "sweep: one job takes all models, one after the other; leave it out."
    if job.on_timeout:
        yield "on_timeout: begun again, it goes on with the models that have no result; leave it out."


def _nearest(name: str, stages: Sequence[Stage]) -> str:
    near = difflib.get_close_matches(name, [stage.name for stage in stages], n=1)
    return f". Did you mean '{near[0]}'?" if near else f"; there are {', '.join(stage.name for stage in stages)}"
