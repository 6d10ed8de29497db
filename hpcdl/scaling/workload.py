"""What there is to compute and to send: from a job, its data, its network, and runs that were measured."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcdl.collector.find import is_run
from hpcdl.collector.runfolder import read_run_folder
from hpcdl.data import Data
from hpcdl.errors import HpcdlError, JobFileError
from hpcdl.job import Job
from hpcdl.run import record
from hpcdl.runlog import METRICS_FILE, read_events
from hpcdl.train.data import SOURCES, load_dataset
from hpcdl.train.models.catalogue import MODELS
from hpcdl.train.quiet import without_notices

BYTES = {"float32": 4, "float16": 2}
"""Of one gradient, by `train.horovod.wire`. bfloat16 arithmetic has float32 gradients."""

SAME = ("model", "data", "batch_size", "micro_batches", "precision", "augment")
"""The keys of `train:` on which the speed hangs: a measured run must have them in common with the job."""


@dataclass(frozen=True)
class Workload:
    """One job, whatever the number of ranks."""

    parameters: int
    """That are trained."""
    num_train: int
    """Inputs in an epoch."""
    multiply_adds: int | None
    """Of the forward pass of one input; None where they are not known."""


@dataclass(frozen=True)
class Measured:
    """What a run of the job reached."""

    folder: Path
    ranks: int
    images_per_s: float
    """Of all its ranks together."""
    device: str | None
    """What each rank computed on, as the run says it."""
    parameters: int | None
    num_train: int | None

    @property
    def per_rank(self) -> float:
        """Images a second of each rank."""
        return self.images_per_s / self.ranks


def workload(job: Job, measured: Sequence[Measured] = ()) -> Workload:
    """Return what a job has to do; a measured run tells it without the data and without Keras.

    A run counts the running statistics of batch normalisation to the parameters: less than a hundredth of them.

    Raises:
        HpcdlError: the data are not here, or the network cannot be built.
    """
    training = job.training
    for run in measured:
        if run.parameters and run.num_train:
            return Workload(run.parameters, run.num_train, None)
    images, shape, outputs, regression = _inputs(training.data)
    parameters, multiply_adds = _network(job, shape, outputs, regression)
    return Workload(parameters, int(images * (1 - training.validation_split)), multiply_adds)


def read_measured(folder: Path, job: Job, warn: Callable[[str], None]) -> Measured:
    """Read the speed of a run of the job.

    Raises:
        HpcdlError: there is no such run, it measured no speed, or it trained something else than the job.
    """
    if not folder.is_dir() or not is_run([path.name for path in folder.iterdir()]):
        raise HpcdlError(f"--measured {folder}: no run's folder; give one of runs/, as `hpcdl run` prints it.")
    row = read_run_folder(folder, warn)
    if not row.images_per_s or not row.ranks:
        raise HpcdlError(f"--measured {folder}: this run measured no images/s; give one that trained for an epoch.")
    theirs = _job_of(folder).training
    for key in SAME:
        found, wanted = getattr(theirs, key), getattr(job.training, key)
        if found != wanted:
            raise HpcdlError(
                f"--measured {folder}: its train.{key} is {found}, the job's is {wanted}. Give a run of this job; only "
                "the number of ranks, epochs and the like may differ."
            )
    start = _run_start(folder)
    return Measured(
        folder,
        row.ranks,
        row.images_per_s,
        next((str(rank["device"]) for rank in row.rank_map if rank.get("device")), None),
        _whole(start.get("parameters")),
        _whole(start.get("train_images")),
    )


def _job_of(folder: Path) -> Job:
    try:
        return Job.model_validate(record.read(folder)["job"])
    except (OSError, ValueError, KeyError):
        raise HpcdlError(f"--measured {folder}: its {record.RECORD_FILE} holds no job of this version.") from None


def _run_start(folder: Path) -> dict[str, Any]:
    try:
        with open(folder / METRICS_FILE, encoding="utf-8", errors="replace") as lines:
            events, _ = read_events(lines)
    except OSError:
        return {}
    return next((event for event in reversed(events) if event["event"] == "run_start"), {})


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _inputs(data: Data) -> tuple[int, tuple[int, ...], int, bool]:
    """Return the number of training inputs, the shape of one, the number of outputs, and whether it is a regression."""
    source = SOURCES.get(data.name)
    rendered = source is not None and "num_train" in source.options
    few = {"num_train": 1, "num_test": 1, "num_classes": None}  # they tell the shape as well
    found = load_dataset(data.model_copy(update=few) if rendered else data)
    images = len(found.train_inputs)
    if rendered and source is not None:
        images = data.num_train or inspect.signature(source.load).parameters["num_train"].default
    shape = tuple(int(size) for size in found.train_inputs.shape[1:])
    return images, shape, data.num_classes or found.num_classes or len(found.target_names), found.num_classes is None


def _network(job: Job, shape: tuple[int, ...], outputs: int, regression: bool) -> tuple[int, int | None]:
    """Return the trained parameters and the multiply-adds: of the catalogue where they fit, else by building it."""
    model = job.training.model
    entry = MODELS.get(model.name)
    if entry and not model.arguments and (entry.input_shape, entry.num_outputs) == (shape, outputs):
        return entry.parameters, entry.multiply_adds
    try:
        with without_notices():
            from hpcdl.train.models.summary import summarize
    except ImportError:
        size = "x".join(map(str, shape))
        raise JobFileError(
            f"train.model: the parameters of {model} with inputs of {size} are counted by building it, which needs "
            "Keras: pip install 'hpcdl[train]', or give a run of the job by --measured."
        ) from None
    with without_notices():
        rows = summarize(model.name, model.arguments, shape, outputs, regression)
    known = all(row.multiply_adds is not None for row in rows)
    return sum(row.parameters for row in rows), sum(row.multiply_adds or 0 for row in rows) if known else None
