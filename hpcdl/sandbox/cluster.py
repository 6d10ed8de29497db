"""The cluster that a sandbox imitates: a site profile and a number, turned into nodes and partitions (pure)."""

from dataclasses import dataclass

from hpcdl.sandbox.errors import SandboxUsageError
from hpcdl.site import Partition, Site
from hpcdl.values import seconds

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
    exclusive: bool
    """Jobs get whole nodes."""
    memory_mb_per_core: int
    """What a job gets that names no memory."""


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
    groups: dict[_Hardware, dict[str, list[Partition]]] = {}
    placed: dict[str, _Hardware] = {}
    for key, partition in (site.partitions or {"batch": Partition(kind="gpu")}).items():
        # Several entries of a profile can be one partition of Slurm with different QOS.
        name_in_slurm = partition.options.get("partition", key)
        hardware = placed.setdefault(name_in_slurm, _hardware(site, partition))
        groups.setdefault(hardware, {}).setdefault(name_in_slurm, []).append(partition)

    sizes = {hardware: max(nodes, *(p.max_nodes or 0 for p in _all(group))) for hardware, group in groups.items()}
    width = max(2, len(str(sum(sizes.values()))))
    kinds: list[NodeKind] = []
    queues: dict[str, Queue] = {}
    number = 0
    for hardware, group in groups.items():
        numbers = range(number + 1, number + sizes[hardware] + 1)
        members = tuple(Node(f"node{i:0{width}d}", i, runs=i <= number + nodes) for i in numbers)
        number += len(members)
        gpu_type = site.gpu.type if site.gpu and hardware.gpus else None
        kinds.append(
            NodeKind(members, hardware.cores, hardware.memory_mb, hardware.gpus, gpu_type, _features(_all(group)))
        )
        for queue_name, partitions in group.items():
            queues[queue_name] = _queue(
                queue_name, members, partitions, site.nodes.shared is False, hardware.memory_mb // hardware.cores
            )
    return Cluster(name, tuple(kinds), tuple(queues[queue_name] for queue_name in placed))


@dataclass(frozen=True)
class _Hardware:
    cores: int
    gpus: int
    memory_mb: int


def _hardware(site: Site, partition: Partition) -> _Hardware:
    """What a partition's nodes have, as far as the profile says, else something to place jobs on."""
    gpus = 0
    per_gpu = partition.cores_per_gpu or (site.gpu and site.gpu.cores_per_gpu) or 0
    if partition.kind == "gpu":
        gpus = partition.gpus_per_node or (site.gpu and site.gpu.per_node) or GPUS_ASSUMED
    cores = partition.cores_per_node or gpus * per_gpu or CORES_ASSUMED
    return _Hardware(cores, gpus, (partition.memory_gib or 0) * 1024 or cores * MEMORY_MB_PER_CORE)


def _queue(
    name: str, nodes: tuple[Node, ...], partitions: list[Partition], exclusive: bool, memory_mb_per_core: int
) -> Queue:
    """One partition of Slurm, with the widest limits of the profile's entries for it; an unknown limit is none."""
    times = [[p.max_time, *(step.max_time for step in p.max_time_by_nodes)] for p in partitions]
    known = [time for group in times for time in group if time]
    return Queue(
        name=name,
        nodes=nodes,
        max_time=max(known, key=seconds) if all(any(group) for group in times) else None,
        min_nodes=min(p.min_nodes or 1 for p in partitions) if any(p.min_nodes for p in partitions) else None,
        max_nodes=max(p.max_nodes or 0 for p in partitions) if all(p.max_nodes for p in partitions) else None,
        exclusive=exclusive,
        memory_mb_per_core=memory_mb_per_core,
    )


def _all(group: dict[str, list[Partition]]) -> list[Partition]:
    return [partition for partitions in group.values() for partition in partitions]


def _features(partitions: list[Partition]) -> tuple[str, ...]:
    """The words of the constraints by which a site chooses among these partitions: `gpu&hbm80g` has two."""
    words = (partition.options.get("constraint", "") for partition in partitions)
    return tuple(dict.fromkeys(word for text in words for word in text.replace("&", " ").replace("|", " ").split()))
