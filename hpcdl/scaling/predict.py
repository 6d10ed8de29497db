"""A job at a site, from one node to many: what each number of nodes reaches, and what must be known of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hpcdl import fit
from hpcdl.job import Job
from hpcdl.scaling.known import Network, Place, Speed
from hpcdl.scaling.model import Bracket, Links, Step, allreduces, step_s
from hpcdl.scaling.workload import BYTES, Measured, Workload

MOST_RANKS = 512
"""So many ranks at most where no numbers of nodes are asked for."""

BUFFER_MIB = 128.0
CYCLE_MS = 1.0
"""Horovod's own settings, see `train.horovod`."""


@dataclass(frozen=True)
class Point:
    """A number of nodes, and what the job does on them. Images/s, efficiency and the rest: least to most."""

    nodes: int
    ranks: int
    global_batch: int
    """Inputs of one step over all ranks."""
    steps: int
    """Of the whole job."""
    images_per_s: Bracket
    efficiency: Bracket
    """Images/s over those of as many ranks that never wait for each other."""
    time_s: Bracket | None
    """Training alone: no start-up, no evaluation, no checkpoints. None where an epoch has not one step."""
    allreduce: Bracket
    """The part of the time that ranks spend waiting for the allreduce."""
    hours: Bracket | None
    """Of what `Prediction.unit` says."""
    measured: float | None = None
    """Images/s of a run on so many ranks."""


@dataclass(frozen=True)
class Prediction:
    """A job at a site by the model."""

    title: str
    points: list[Point]
    unit: str
    """What is paid for: `gpu_hours`, `core_hours` or `node_hours`."""
    notes: list[str] = field(default_factory=list)
    """On what it rests, and warnings."""


def default_nodes(job: Job) -> list[int]:
    """Return 1, 2, 4, ... nodes, as many as have MOST_RANKS ranks of the job."""
    return [2**power for power in range(10) if 2**power * job.resources.ranks_per_node <= MOST_RANKS] or [1]


def predict(
    job: Job,
    place: Place,
    nodes: Sequence[int],
    work: Workload,
    one_rank: Speed,
    network: Network,
    measured: Sequence[Measured] = (),
) -> Prediction:
    """Return what the model says of a job on each number of nodes, with what it rests on."""
    training = job.training
    wire = training.horovod
    gradient_bytes = work.parameters * BYTES[wire.wire]
    buffer = (wire.fusion_threshold_mib or BUFFER_MIB) * 2**20
    step = Step(
        training.batch_size / one_rank.images_per_s,
        gradient_bytes,
        allreduces(gradient_bytes, int(buffer)),
        (wire.cycle_time_ms or CYCLE_MS) / 1000,
    )
    unit, paid = _paid(job, place)
    points = [_point(count, job, work, step, network.links, paid, measured) for count in sorted(set(nodes))]
    notes = [
        f"compute: {one_rank.told}",
        f"gradients: {work.parameters:,} x {wire.wire} = {gradient_bytes / 1e6:,.4g} MB a step",
        f"network: {network.told}",
        "from the least (one ring, nothing of the allreduce hidden) to the most (reduced inside nodes first, hidden "
        f"behind the whole backward pass); hpcdl's trainer reduces buckets of {wire.bucket_mib:g} MiB beside the "
        "backward pass, and nothing hides the last one",
        *([f"warning: {place.refusal}"] if place.refusal else []),
        *_warnings(job, points),
    ]
    return Prediction(f"{job.name} at {place.site.name}", points, unit, notes)


def _point(
    nodes: int,
    job: Job,
    work: Workload,
    step: Step,
    links: Links,
    paid: float,
    measured: Sequence[Measured],
) -> Point:
    training, ranks_per_node = job.training, job.resources.ranks_per_node
    ranks = nodes * ranks_per_node
    global_batch = ranks * training.batch_size
    seconds = step_s(step, nodes, ranks_per_node, links)
    steps = work.num_train // global_batch * training.epochs
    time_s = seconds.map(lambda one: one * steps) if steps else None
    return Point(
        nodes,
        ranks,
        global_batch,
        steps,
        seconds.map(lambda one: global_batch / one),
        seconds.map(lambda one: step.compute_s / one),
        time_s,
        seconds.map(lambda one: 1 - step.compute_s / one),
        time_s.map(lambda one: one * nodes * paid / 3600) if time_s else None,
        next((run.images_per_s for run in measured if run.ranks == ranks), None),
    )


def _paid(job: Job, place: Place) -> tuple[str, float]:
    """Return what is paid for, and how many of it a node has: all of the node's where nodes are not shared."""
    site, partition, resources = place.site, place.partition, job.resources
    whole = site.nodes.shared is False
    if resources.gpus_per_node:
        all_gpus = (partition and partition.gpus_per_node) or (site.gpu and site.gpu.per_node)
        return "gpu_hours", max(all_gpus or 0, resources.gpus_per_node) if whole else resources.gpus_per_node
    if whole and partition and partition.cores_per_node:
        return "core_hours", partition.cores_per_node
    cores = fit.cores_per_rank(resources, site, partition)
    return ("core_hours", cores * resources.ranks_per_node) if cores and not whole else ("node_hours", 1)


def _nodes(number: int) -> str:
    return f"{number} node{'s' * (number != 1)}"


def _warnings(job: Job, points: Sequence[Point]) -> list[str]:
    """What the numbers do not say: the recipe, the data, the job's time limit."""
    training, found = job.training, []
    claimed = job.ranks * training.batch_size
    unscaled = ", and the learning rate stays (train.optimizer.scale)" if training.optimizer.scale == "none" else ""
    if larger := next((point for point in points if point.global_batch > claimed), None):
        found.append(
            f"warning: from {_nodes(larger.nodes)} on a step takes {larger.global_batch:,} inputs and more, but the "
            f"recipe is for {claimed:,} (the job's own resources): the accuracy there is not known{unscaled}"
        )
    if empty := next((point for point in points if not point.steps), None):
        found.append(
            f"warning: from {_nodes(empty.nodes)} on one step takes more inputs ({empty.global_batch:,}) than an epoch "
            "has: the job cannot run there"
        )
    limit_s = job.resources.time_s
    if longer := [point for point in points if point.time_s and point.time_s.most > limit_s]:
        counts = ", ".join(str(point.nodes) for point in longer)
        found.append(f"warning: on {counts} nodes the job may need more than its resources.time, {job.resources.time}")
    return found
