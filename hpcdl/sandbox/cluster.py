"""The cluster that a sandbox imitates: a site profile and a number, turned into nodes and partitions (pure)."""

from dataclasses import dataclass

from hpcdl.sandbox.errors import SandboxUsageError
from hpcdl.site import Partition, Site

# What a node has where the profile does not say. No fact about the site: something a job can be placed on.
CORES_ASSUMED = 16
MEMORY_MB_PER_CORE = 4000
GPUS_ASSUMED = 4


@dataclass(frozen=True)
class Node:
    """One node of the cluster."""

    name: str
    number: int
    """1, 2, ... through the whole cluster; its address is made from it."""
    runs: bool
    """False: the scheduler knows it, but nothing runs there."""


@dataclass(frozen=True)
class NodeKind:
    """Nodes with the same hardware."""

    nodes: tuple[Node, ...]
    cores: int
    memory_mb: int
    gpus: int
    gpu_type: str | None
    features: tuple[str, ...]
    """Words that `--constraint` may ask for."""

    @property
    def running(self) -> list[Node]:
        """The nodes with a slurmd."""
        return [node for node in self.nodes if node.runs]

    @property
    def declared(self) -> list[Node]:
        """The nodes that only the scheduler knows."""
        return [node for node in self.nodes if not node.runs]


@dataclass(frozen=True)
class Queue:
    """A partition as Slurm is told of it."""

    name: str
    nodes: tuple[Node, ...]
    max_time: str | None
    min_nodes: int | None
    max_nodes: int | None


@dataclass(frozen=True)
class Cluster:
    """All that Slurm's configuration is made from."""

    name: str
    kinds: tuple[NodeKind, ...]
    queues: tuple[Queue, ...]

    @property
    def running(self) -> list[Node]:
        """The nodes with a slurmd, of every kind."""
        return [node for kind in self.kinds for node in kind.running]

    @property
    def declared(self) -> list[Node]:
        """The nodes that only the scheduler knows, of every kind."""
        return [node for kind in self.kinds for node in kind.declared]

    @property
    def most_gpus(self) -> int:
        """GPUs of the node that has most."""
        return max(kind.gpus for kind in self.kinds)


def shape(name: str, site: Site, nodes: int) -> Cluster:
    """Turn a site profile into a cluster.

    Partitions with the same hardware share their nodes. As many nodes as the largest partition may use are declared, so
    that the scheduler answers `sbatch --test-only` as the site's would.

    Args:
        name: of the cluster.
        site: its profile; a site with no partitions gets one, `batch`.
        nodes: nodes of every kind that shall run, 1..64.

    Raises:
        SandboxUsageError: the site has no queue.
    """
    if site.scheduler != "slurm":
        raise SandboxUsageError(
            f"site '{site.name}' has no Slurm (scheduler: {site.scheduler}); take another with --site."
        )
    partitions = site.partitions or {"batch": Partition(kind="gpu")}
    groups: dict[tuple[int, int], dict[str, Partition]] = {}
    for key, partition in partitions.items():
        groups.setdefault(_hardware(site, partition), {})[key] = partition

    wanted = {hardware: max(nodes, *(p.max_nodes or 0 for p in group.values())) for hardware, group in groups.items()}
    width = max(2, len(str(sum(wanted.values()))))
    kinds, queues, number = [], [], 0
    for (cores, gpus), group in groups.items():
        members = tuple(
            Node(f"node{i:0{width}d}", i, runs=i <= number + nodes)
            for i in range(number + 1, number + wanted[cores, gpus] + 1)
        )
        number += len(members)
        kinds.append(
            NodeKind(
                nodes=members,
                cores=cores,
                memory_mb=cores * MEMORY_MB_PER_CORE,
                gpus=gpus,
                gpu_type=site.gpu.type if site.gpu and gpus else None,
                features=_features(group),
            )
        )
        queues += [Queue(key, members, p.max_time, p.min_nodes, p.max_nodes) for key, p in group.items()]
    order = list(partitions)
    return Cluster(name, tuple(kinds), tuple(sorted(queues, key=lambda queue: order.index(queue.name))))


def _hardware(site: Site, partition: Partition) -> tuple[int, int]:
    """Cores and GPUs of a partition's nodes."""
    gpus = 0
    if partition.kind == "gpu":
        gpus = partition.gpus_per_node or (site.gpu and site.gpu.per_node) or GPUS_ASSUMED
    cores = partition.cores_per_node or gpus * ((site.gpu and site.gpu.cores_per_gpu) or 0) or CORES_ASSUMED
    return cores, gpus


def _features(group: dict[str, Partition]) -> tuple[str, ...]:
    """The words of the constraints by which a site chooses among these partitions: `gpu&hbm80g` has two."""
    words = (partition.options.get("constraint", "") for partition in group.values())
    return tuple(dict.fromkeys(word for text in words for word in text.replace("&", " ").replace("|", " ").split()))
