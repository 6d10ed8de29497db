"""A job at a site, from one node to many: what each number of nodes reaches, and what must be known of the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hpcdl import fit
from hpcdl.errors import HpcdlError, SiteError
from hpcdl.job import Job
from hpcdl.scaling.model import Bracket, Links, Step, allreduces, step_s
from hpcdl.scaling.peaks import FRACTION, peak_flops
from hpcdl.scaling.workload import BYTES, Measured, Workload
from hpcdl.site import Interconnect, Partition, Site

MOST_RANKS = 512
"""So many ranks at most where no numbers of nodes are asked for."""

FLOPS = 6
"""Floating-point operations of a training step for each multiply-add of a forward pass: two each, forward and twice
backward."""

LATENCY_S = Bracket(2.7e-6, 14e-6)
"""Where it is not known: what NCCL's own model takes for one step over a network, from its protocol for small messages
to that for large ones (NVIDIA/nccl, src/graph/tuning.cc, hwLat)."""

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


@dataclass(frozen=True)
class Speed:
    """How fast one rank computes, and who says so."""

    images_per_s: float
    told: str


def speed(
    job: Job, site: Site, partition: Partition | None, work: Workload, given: float | None, measured: Sequence[Measured]
) -> Speed:
    """Return the images/s of one rank: as given, as measured on the fewest ranks, or estimated from the GPU's peak.

    Raises:
        HpcdlError: nothing tells it.
    """
    if given:
        return Speed(given, f"{given:,.6g} images/s of one rank (--images-per-second)")
    if measured:
        run = min(measured, key=lambda run: run.ranks)
        device = f" on {run.device}" if run.device else ""
        among = f"; the allreduce of its {run.ranks} ranks counts here as computing" if run.ranks > 1 else ""
        return Speed(run.per_rank, f"{run.per_rank:,.6g} images/s of one rank{device}, measured ({run.folder}{among})")
    wanted = (
        "Give a run of this job by --measured RUN (`hpcdl run JOB -n 1` makes one), or a rank's speed by "
        "--images-per-second."
    )
    if not job.resources.gpus_per_node:
        raise HpcdlError(f"job {job.name}: how fast a rank computes on cores cannot be told beforehand. {wanted}")
    model = (partition and partition.gpu_model) or (site.gpu and site.gpu.model)
    precision = job.training.precision
    peak = peak_flops(model, precision) if model else None
    if not peak or not work.multiply_adds:
        what = f"the peak of {model} in {precision}" if model and work.multiply_adds else f"the GPU of site {site.name}"
        what = what if work.multiply_adds else f"the multiply-adds of {job.training.model}"
        raise HpcdlError(f"job {job.name}: hpcdl does not know {what}, so it cannot even estimate a speed. {wanted}")
    rate = FRACTION * peak / (FLOPS * work.multiply_adds)
    return Speed(
        rate,
        f"ESTIMATE, nothing was measured: {rate:,.4g} images/s of one rank, {FRACTION:.0%} of the {peak / 1e12:,.4g} "
        f"TFLOP/s of {model} in {precision}; small networks reach far less. A measured run (--measured) replaces it",
    )


def links(
    site: Site,
    partition: Partition | None,
    bandwidth_gb_per_s: float | None = None,
    latency_us: float | None = None,
    inner_gb_per_s: float | None = None,
) -> tuple[Links, str]:
    """Return what carries the gradients, from the options or else from the profile, and a sentence on it.

    Raises:
        SiteError: nobody tells the bandwidth.
    """
    known = (partition and partition.network) or site.network or Interconnect()
    bandwidth = bandwidth_gb_per_s or known.gb_per_s
    if not bandwidth:
        raise SiteError(
            f"site {site.name}: its profile does not say how fast its network is. Give --bandwidth, the GB/s that a "
            "node sends with all its network cards together (12.5 for one card of 100 Gbit/s), and --latency in "
            "microseconds if you know it."
        )
    source = "--bandwidth" if bandwidth_gb_per_s else f"{known.source}, as of {known.as_of}"
    latency = latency_us or known.latency_us
    inner = inner_gb_per_s or known.inner_gb_per_s
    latency_s = Bracket(latency * 1e-6, latency * 1e-6) if latency else LATENCY_S
    told = f"{bandwidth:g} GB/s of a node ({source})"
    told += f", {inner:g} GB/s inside a node" if inner else ", inside a node not known"
    told += f", {latency:g} us a message" if latency else ", 2.7 to 14 us a message (not known; NCCL's own model)"
    return Links(bandwidth * 1e9, latency_s, inner * 1e9 if inner else None), told


def place(job: Job, site: Site, nodes: Sequence[int]) -> tuple[Partition | None, SiteError | None]:
    """Return the partition of the job at a site, and why it does not take the job on some of these numbers of nodes.

    Raises:
        SiteError: it takes the job on none of them.
    """
    taken, refused = [], []
    for count in nodes:
        at = job.model_copy(update={"resources": job.resources.model_copy(update={"nodes": count})})
        try:
            taken.append(fit.choose_partition(at, site))
        except SiteError as refusal:
            refused.append(refusal)
    if not taken:
        raise refused[0]
    return taken[0], next(iter(refused), None)


def default_nodes(job: Job) -> list[int]:
    """Return 1, 2, 4, ... nodes, as many as have MOST_RANKS ranks of the job."""
    return [2**power for power in range(10) if 2**power * job.resources.ranks_per_node <= MOST_RANKS] or [1]


def predict(
    job: Job,
    site: Site,
    nodes: Sequence[int],
    work: Workload,
    one_rank: Speed,
    network: tuple[Links, str],
    measured: Sequence[Measured] = (),
) -> Prediction:
    """Return what the model says of a job on each number of nodes.

    Raises:
        SiteError: the site takes the job on none of them.
    """
    partition, refusal = place(job, site, nodes)
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
    unit, paid = _paid(job, site, partition)
    points = [_point(count, job, work, step, network[0], paid, measured) for count in sorted(set(nodes))]
    notes = [
        f"compute: {one_rank.told}",
        f"gradients: {work.parameters:,} x {wire.wire} = {gradient_bytes / 1e6:,.4g} MB a step; network: {network[1]}",
        "from the least (one ring, nothing of the allreduce hidden) to the most (reduced inside nodes first, hidden "
        "behind the whole backward pass); hpcdl's trainer reduces all gradients at once after the backward pass: "
        "expect the least",
        *([f"warning: {refusal}"] if refusal else []),
        *_warnings(job, points),
    ]
    return Prediction(f"{job.name} at {site.name}", points, unit, notes)


def _point(
    nodes: int,
    job: Job,
    work: Workload,
    step: Step,
    network: Links,
    paid: float | None,
    measured: Sequence[Measured],
) -> Point:
    training, ranks_per_node = job.training, job.resources.ranks_per_node
    ranks = nodes * ranks_per_node
    global_batch = ranks * training.batch_size
    seconds = step_s(step, nodes, ranks_per_node, network)
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
        time_s.map(lambda one: one * nodes * paid / 3600) if time_s and paid else None,
        next((run.images_per_s for run in measured if run.ranks == ranks), None),
    )


def _paid(job: Job, site: Site, partition: Partition | None) -> tuple[str, float | None]:
    """Return what is paid for, and how many of it a node has: all of the node's where nodes are not shared."""
    resources, whole = job.resources, site.nodes.shared is False
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
    if larger := next((point for point in points if point.global_batch > claimed), None):
        found.append(
            f"warning: from {_nodes(larger.nodes)} on a step takes {larger.global_batch:,} inputs and more, but the "
            f"recipe is for {claimed:,} (the job's own resources): the accuracy there is not known; it wants "
            "another learning rate and warm-up (train.optimizer.scale, train.schedule)"
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
