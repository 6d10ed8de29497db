"""The stages of a chain as steps to start, wherever that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcdl.chain.chainfile import Condition
from hpcdl.chain.folder import RANKING, ChainFolder
from hpcdl.chain.queue import read_result
from hpcdl.errors import HpcdlError, RunError
from hpcdl.job import Job
from hpcdl.run.folder import fill_run_folder
from hpcdl.run.status import Status
from hpcdl.run.submit import Prepared, prepare_in
from hpcdl.settings import Settings
from hpcdl.site import Site


@dataclass(frozen=True)
class Step:
    """A stage, or the ranking, as something to start."""

    name: str
    job: Job
    after: dict[str, Condition]
    queue: Path | None
    """Where its models appear; None where nobody takes them."""
    through: list[str]
    """The words of the program that starts its command, if not the batch script itself does."""


@dataclass(frozen=True)
class Place:
    """Where a chain runs."""

    site: Site
    site_file: Path
    settings: Settings


def steps(chain: ChainFolder) -> list[Step]:
    """Return all stages, each behind those that it waits for, and the ranking."""
    said, hpcdl = chain.chain, ["hpcdl", "chain", str(chain.path)]
    found = []
    for stage in said.in_order:
        queue = chain.queue / stage.name if said.taker(stage.name) else None
        through = [*hpcdl, "--take", stage.name, "--"] if stage.sources else []
        found.append(Step(stage.name, stage.whole, stage.after, queue, through))
    job = said.ranking_job.model_copy(update={"command": [*hpcdl, "--rank"]})
    everything: dict[str, Condition] = {stage.name: "ended" for stage in said.stages}
    return [*found, Step(RANKING, job, everything, None, [])]


def prepare(chain: ChainFolder, step: Step, place: Place) -> Prepared:
    """Make the folder of a stage, with its script; if that fails there is none.

    Raises:
        HpcdlError: the stage cannot run at the site, or the folder cannot be made.
    """
    folder = chain.stage(step.name)
    try:
        fill_run_folder(folder, step.job)
    except OSError as fault:
        raise RunError(f"{folder}: cannot be written ({fault.strerror}). Choose another place by --runs.") from None
    try:
        return prepare_in(
            folder,
            chain.id,
            step.job,
            chain.file,
            place.site,
            place.site_file,
            place.settings,
            queue=step.queue,
            through=step.through,
        )
    except HpcdlError as fault:
        raise type(fault)(f"stage {step.name}: {fault}") from None


def has_more_models(chain: ChainFolder, step: Step, known: Mapping[str, Sequence[Status]]) -> bool:
    """Tell whether there is a model without a result, in the queue or on its way, for a stage that takes them."""
    stage = chain.chain.stage(step.name)
    return any(
        read_result(chain, stage, model) is None and ((chain.queue / model).is_file() or not status.state.ended)
        for source in stage.sources
        for status in known[source]
        for model in [str(Path(status.folder).relative_to(chain.path))]
    )
