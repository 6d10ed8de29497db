"""Does a job fit a site? Asked before the queue is: what would be refused or wait for ever is refused here."""

import difflib
import fnmatch

from hpcdl.errors import JobFileError, SiteError
from hpcdl.job import Job, Resources
from hpcdl.site import Partition, Site
from hpcdl.timeout import OnTimeout
from hpcdl.values import seconds


def choose_partition(job: Job, site: Site) -> Partition | None:
    """Return the partition for a job, or None where the profile names no partitions.

    The first of the profile's that is for the job's kind (with GPUs or without). What the job's `slurm:` section says
    of an option that chooses partitions here (partition, qos, ...) narrows the choice to those that agree.

    Raises:
        SiteError: no partition agrees, or the job goes beyond a limit of the one that does.
    """
    if not site.partitions:
        return None
    choosing = {key for partition in site.partitions.values() for key in partition.options}
    asked = {key: str(value) for key, value in job.slurm.items() if key in choosing and value is not False}
    named = {
        name: partition
        for name, partition in site.partitions.items()
        if all(partition.options.get(key) == value for key, value in asked.items())
    }
    if not named:
        raise SiteError(_no_such_partition(asked, site))
    kind = "gpu" if job.resources.gpus_per_node else "cpu"
    name, partition = next(
        ((name, partition) for name, partition in named.items() if partition.kind == kind), next(iter(named.items()))
    )
    _check_kind(kind, name, partition, site, bool(asked))
    _check_limits(job.resources, name, partition, site)
    return partition


def check_gpus(resources: Resources, site: Site, partition: Partition | None) -> None:
    """Check that the site has the GPUs that a job wants on each node.

    Raises:
        SiteError: it has none, too few, or they cannot be asked for in this number.
    """
    wanted = resources.gpus_per_node
    if not wanted:
        return
    if site.gpu is None:
        raise SiteError(
            f"resources.gpus_per_node: {wanted}, but the profile of site {site.name} says nothing of GPUs. "
            "Set it to 0, choose another site, or add a `gpu:` section to a profile of your own."
        )
    there = (partition and partition.gpus_per_node) or site.gpu.per_node
    if there and wanted > there:
        raise SiteError(
            f"resources.gpus_per_node: {wanted}, but a node of site {site.name} has {there}. "
            f"Ask for at most {there} on more nodes."
        )
    if site.gpu.request == "gpus-per-task" and wanted % resources.ranks_per_node:
        raise SiteError(
            f"resources: {wanted} GPUs cannot be shared equally by {resources.ranks_per_node} ranks on each node, and "
            f"site {site.name} gives GPUs by rank. Make gpus_per_node a multiple of ranks_per_node."
        )


def timeout_at(job: Job, site: Site) -> OnTimeout | None:
    """Return what happens before the time limit at a site; None where nothing does, or where there is no limit.

    Raises:
        JobFileError: the job asks for what this site cannot give.
    """
    if site.scheduler == "none":
        return None
    cannot = None
    if site.scheduler == "pbs":
        cannot = "takes jobs through qsub, which sends no signal before the time limit"
    elif site.launch.program not in ("srun", "mpirun"):
        cannot = f"starts ranks by {site.launch.program}, which is not known to hand signals on to them"
    if cannot and job.on_timeout:
        raise JobFileError(f"on_timeout: site {site.name} {cannot}. Leave it out here by --set on_timeout=null.")
    return None if cannot else job.timeout


def check_account(account: str | None, site: Site) -> None:
    """Check the account that pays, None when the user has named none.

    Raises:
        SiteError: the site wants one, or one of another form.
    """
    rule = site.account
    if rule.required and not account:
        raise SiteError(
            f"site {site.name} wants an account (the budget that pays). "
            "Write `account: NAME` into your settings file, or `slurm: {account: NAME}` into the job file."
        )
    if account and rule.patterns and not any(fnmatch.fnmatchcase(account, pattern) for pattern in rule.patterns):
        raise SiteError(
            f"account {account!r}: at site {site.name} an account looks like {' or '.join(rule.patterns)} "
            f"(as of {rule.as_of}, {rule.source})."
        )


def cores_per_rank(resources: Resources, site: Site, partition: Partition | None) -> int | None:
    """The CPUs of each rank: the job's own number, else what goes with its GPUs here, else None."""
    per_gpu = (partition and partition.cores_per_gpu) or (site.gpu and site.gpu.cores_per_gpu)
    if resources.cores_per_rank or not resources.gpus_per_node or not per_gpu:
        return resources.cores_per_rank
    return max(1, resources.gpus_per_node * per_gpu // resources.ranks_per_node)


def _no_such_partition(asked: dict[str, str], site: Site) -> str:
    wanted = ", ".join(f"{key} {value}" for key, value in asked.items())
    words = [f"slurm.{key}: {value}" for key, value in asked.items()]
    there = [" ".join(f"{key}={value}" for key, value in part.options.items()) for part in site.partitions.values()]
    values = [value for partition in site.partitions.values() for value in partition.options.values()]
    near = [match for value in asked.values() for match in difflib.get_close_matches(value, values, n=1)]
    hint = f"Did you mean '{near[0]}'? " if near and wanted != near[0] else ""
    return f"{'; '.join(words)}: not in the profile of site {site.name}. {hint}It knows {'; '.join(there)}."


def _check_kind(kind: str, name: str, partition: Partition, site: Site, asked: bool) -> None:
    if partition.kind == kind:
        return
    job_is = "asks for GPUs" if kind == "gpu" else "asks for no GPU"
    place = f"partition {name} of site {site.name} is" if asked else f"all partitions of site {site.name} are"
    number = "0" if kind == "gpu" else "at least 1"
    raise SiteError(
        f"the job {job_is}, but {place} for {partition.kind} jobs; resources.gpus_per_node must be {number} there."
    )


def _check_limits(resources: Resources, name: str, partition: Partition, site: Site) -> None:
    where = f"partition {name} of site {site.name}"
    since = f"(as of {partition.as_of}, {partition.source})"
    nodes, time_s = resources.nodes, resources.time_s
    if partition.max_nodes and nodes > partition.max_nodes:
        raise SiteError(f"resources.nodes: {nodes}, but {where} gives at most {partition.max_nodes} {since}.")
    if partition.min_nodes and nodes < partition.min_nodes:
        raise SiteError(f"resources.nodes: {nodes}, but {where} takes {partition.min_nodes} or more {since}.")
    longest = partition.longest_time(nodes)
    if longest and time_s > seconds(longest):
        raise SiteError(
            f"resources.time: {resources.time}, but {where} gives at most {longest} to a job of {nodes} "
            f"{'nodes' if nodes > 1 else 'node'} {since}; the job would wait for ever."
        )
    if partition.max_node_time and nodes * time_s > seconds(partition.max_node_time):
        raise SiteError(
            f"resources: {nodes} nodes for {resources.time}, but {where} gives at most {partition.max_node_time} "
            f"of one node's time to a job {since}."
        )
    cores = resources.ranks_per_node * (resources.cores_per_rank or 1)
    if partition.cores_per_node and cores > partition.cores_per_node:
        raise SiteError(
            f"resources: {resources.ranks_per_node} ranks of {resources.cores_per_rank or 1} cores are {cores} on each "
            f"node, but a node of {where} has {partition.cores_per_node} {since}."
        )
    memory = resources.memory_per_node_gib
    if memory and partition.memory_gib and memory > partition.memory_gib:
        raise SiteError(
            f"resources.memory_per_node_gib: {memory}, but a node of {where} has {partition.memory_gib} {since}."
        )
