"""What is known before anything runs: where a job goes, how fast a rank computes, what the network carries."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpcdl import fit
from hpcdl.errors import HpcdlError, SiteError
from hpcdl.job import Job
from hpcdl.scaling.model import Bracket, Links
from hpcdl.scaling.peaks import FRACTION, peak_flops
from hpcdl.scaling.workload import Measured, Workload
from hpcdl.site import Interconnect, Partition, Site

FLOPS = 6
"""Floating-point operations of a training step for each multiply-add of a forward pass: two each, forward and twice
backward."""

LATENCY_S = Bracket(2.7e-6, 14e-6)
"""Where it is not known: what NCCL's own model takes for one step over a network, from its protocol for small messages
to that for large ones (NVIDIA/nccl, src/graph/tuning.cc, hwLat)."""


@dataclass(frozen=True)
class Place:
    """Where a job goes at a site."""

    site: Site
    partition: Partition | None
    """None where the profile names none."""
    refusal: SiteError | None
    """Why it does not take the job on some of the numbers of nodes."""


@dataclass(frozen=True)
class Network:
    """What carries the gradients, and who says so."""

    links: Links
    told: str


@dataclass(frozen=True)
class Speed:
    """How fast one rank computes, and who says so."""

    images_per_s: float
    told: str


def find_place(job: Job, site: Site, nodes: Sequence[int]) -> Place:
    """Return where a job goes.

    Raises:
        SiteError: the site takes the job on none of these numbers of nodes.
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
    return Place(site, taken[0], next(iter(refused), None))


def speed(job: Job, place: Place, work: Workload, given: float | None, measured: Sequence[Measured]) -> Speed:
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
    site, partition = place.site, place.partition
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


def network(
    place: Place,
    nodes: Sequence[int],
    bandwidth_gb_per_s: float | None = None,
    latency_us: float | None = None,
    inner_gb_per_s: float | None = None,
) -> Network:
    """Return what carries the gradients, from the options or else from the profile.

    Raises:
        SiteError: nobody tells the bandwidth.
    """
    site, partition = place.site, place.partition
    known = (partition and partition.network) or site.network or Interconnect()
    latency = latency_us or known.latency_us
    inner = inner_gb_per_s or known.inner_gb_per_s
    latency_s = Bracket(latency * 1e-6, latency * 1e-6) if latency else LATENCY_S
    latency_told = f"{latency:g} us a message" if latency else "2.7 to 14 us a message (not known; NCCL's own model)"
    if inner and max(nodes) == 1:  # nothing leaves the node
        return Network(Links(inner * 1e9, latency_s, inner * 1e9), f"{inner:g} GB/s inside the node, {latency_told}")
    bandwidth = bandwidth_gb_per_s or known.gb_per_s
    if not bandwidth:
        raise SiteError(
            f"site {site.name}: its profile does not say how fast its network is. Give --bandwidth, the GB/s that a "
            "node sends with all its network cards together (12.5 for one card of 100 Gbit/s), and --latency in "
            "microseconds if you know it."
        )
    source = "--bandwidth" if bandwidth_gb_per_s else f"{known.source}, as of {known.as_of}"
    told = f"{bandwidth:g} GB/s of a node ({source})"
    told += f", {inner:g} GB/s inside a node" if inner else ", inside a node not known"
    links = Links(bandwidth * 1e9, latency_s, inner * 1e9 if inner else None)
    return Network(links, f"{told}, {latency_told}")
