"""The texts of Slurm's configuration files for a cluster (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import groupby
from pathlib import Path

from hpcdl.sandbox.cluster import Cluster, Node, NodeKind, Queue

LOGIN = "login"
NETWORK = IPv4Address("10.77.0.0")
PREFIX_LENGTH = 16
RESERVATION_LICENSE = "reservation"
"""What a reservation of the sandbox holds, since it keeps no node from anybody."""


@dataclass(frozen=True)
class Options:
    """What `up` was told beside the site, as far as it changes the files."""

    accounting: bool = False
    enforce_accounts: bool = False
    memory_cgroup: bool = False
    """Memory limits are kept by the kernel (cgroup v1); else slurmd samples every two seconds and kills."""


def address(node: Node | None) -> str:
    """Return the IPv4 address of a node; None is the login node."""
    return str(NETWORK + (1 if node is None else 256 + node.number))


def hosts(cluster: Cluster) -> str:
    """Return the text of /etc/hosts inside the sandbox."""
    lines = ["127.0.0.1 localhost", "::1 localhost", f"{address(None)} {LOGIN}"]
    return "\n".join(lines + [f"{address(node)} {node.name}" for kind in cluster.kinds for node in kind.nodes]) + "\n"


def slurm_conf(cluster: Cluster, folder: Path, options: Options) -> str:
    """Return the text of slurm.conf.

    Args:
        cluster: nodes and partitions.
        folder: where the sandbox keeps its state.
        options: what else `up` was told.
    """
    lines = [
        f"ClusterName={cluster.name}",
        f"SlurmctldHost={LOGIN}({address(None)})",
        "AuthType=auth/munge",
        "CredType=cred/munge",
        "SlurmUser=root",
        f"StateSaveLocation={folder}/slurmctld",
        f"SlurmdSpoolDir={folder}/slurmd/%n",
        "SlurmctldPidFile=/run/slurm/slurmctld.pid",
        "SlurmdPidFile=/run/slurm/slurmd.%n.pid",
        f"SlurmctldLogFile={folder}/log/slurmctld.log",
        f"SlurmdLogFile={folder}/log/slurmd.%n.log",
        # A node may claim more cores and memory than this machine has.
        "SlurmdParameters=config_overrides",
        "ProctrackType=proctrack/linuxproc",
        f"TaskPlugin={'task/cgroup' if options.memory_cgroup else 'task/none'}",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=bf_interval=5,batch_sched_delay=0",
        "PriorityType=priority/multifactor",
        "MpiDefault=pmix",
        "ReturnToService=2",
        # A dead node is noticed within half a minute (Slurm's own default is five).
        "SlurmdTimeout=20",
        "KillWait=5",
        "JobAcctGatherType=jobacct_gather/linux",
        "JobAcctGatherFrequency=2",
        "GresTypes=gpu",
        # Nothing preempts until `preempt` makes a partition of higher priority.
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        # Nodes that do not run are powered down in Slurm's eyes: it plans with them, job_submit.lua keeps them free of
        # jobs that fit elsewhere, and the resume program holds a job that does not.
        *(["JobSubmitPlugins=lua"] if cluster.declared else []),
        f"ResumeProgram={folder}/resume",
        "SuspendProgram=/bin/true",
        "SuspendTime=31536000",
        "ResumeTimeout=60",
        "SuspendTimeout=1",
        f"Licenses={RESERVATION_LICENSE}:1000",
        # sinfo shows the nodes that do not run.
        "PrivateData=cloud",
    ]
    if not options.memory_cgroup:
        lines.append("JobAcctGatherParams=OverMemoryKill")
    if options.accounting:
        lines += [
            "AccountingStorageType=accounting_storage/slurmdbd",
            f"AccountingStorageHost={LOGIN}",
            "AccountingStorageTRES=gres/gpu",
        ]
        lines += ["AccountingStorageEnforce=associations"] if options.enforce_accounts else []
    for kind in cluster.kinds:
        lines += _node_lines(kind)
    lines += [_partition_line(queue, default=queue is cluster.queues[0]) for queue in cluster.queues]
    return "\n".join(lines) + "\n"


def gres_conf(cluster: Cluster, devices: Path) -> str:
    """Return the text of gres.conf.

    Args:
        cluster: its nodes.
        devices: the folder with the character devices nvidia0, nvidia1, ... that stand for GPUs. Slurm needs a file for
            each: with a bare count the node is refused, and with plain files CUDA_VISIBLE_DEVICES stays empty.
    """
    lines = ["AutoDetect=off"]
    for kind in cluster.kinds:
        if kind.gpus:
            files = f"{devices}/nvidia[0-{kind.gpus - 1}]" if kind.gpus > 1 else f"{devices}/nvidia0"
            typed = f" Type={kind.gpu_type}" if kind.gpu_type else ""
            lines.append(f"NodeName={_names(kind.running)} Name=gpu{typed} File={files}")
    return "\n".join(lines) + "\n"


def cgroup_conf() -> str:
    """Return the text of cgroup.conf: memory only, and from a folder of the sandbox's own."""
    return "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/run/cgroup\nConstrainRAMSpace=yes\nConstrainSwapSpace=no\n"


def slurmdbd_conf(folder: Path) -> str:
    """Return the text of slurmdbd.conf; MariaDB is reached through its socket, as the system's root user."""
    lines = [
        f"DbdHost={LOGIN}",
        "AuthType=auth/munge",
        "SlurmUser=root",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=root",
        "StorageLoc=slurm",
        "PidFile=/run/slurm/slurmdbd.pid",
        f"LogFile={folder}/log/slurmdbd.log",
    ]
    return "\n".join(lines) + "\n"


def resume_program() -> str:
    """Return the program that Slurm calls to power up nodes: there are none, so it holds the jobs and says why."""
    return """#!/bin/sh
# Slurm calls this with the nodes to power up, and SLURM_RESUME_FILE names a file with the jobs that want them.
for job in $(grep -o '"job_id": *[0-9]*' "$SLURM_RESUME_FILE" | grep -o '[0-9]*$'); do
    scontrol requeuehold "$job"
    scontrol update jobid="$job" comment="sandbox: this job fits the site, but not the nodes that run here"
done
scontrol update nodename="$1" state=power_down_force reason="sandbox: declared for the scheduler, does not run"
"""


def job_submit_lua(cluster: Cluster) -> str:
    """Return the program that Slurm asks about every job: one that fits on the nodes that run waits for those."""
    kind_of = {node: kind for kind in cluster.kinds for node in kind.nodes}
    rows = []
    for queue in cluster.queues:
        kind = kind_of[queue.nodes[0]]
        if kind.declared:
            numbers = f"nodes = {len(kind.running)}, cores = {kind.cores}, gpus = {kind.gpus}"
            rows.append(f'  ["{queue.name}"] = {{ {numbers}, declared = "{_names(kind.declared)}" }},')
    partitions = "\n".join(rows)
    return f"""-- Only running nodes take jobs. Declared ones answer for jobs that are larger: sbatch --test-only.
local default = "{cluster.queues[0].name}"
local partitions = {{
{partitions}
}}
local function given(number)
  return number and number < slurm.NO_VAL16 - 1
end
function slurm_job_submit(job, visible, uid)
  local here = partitions[job.partition or default]
  if here == nil or job.exc_nodes or job.req_nodes then
    return slurm.SUCCESS
  end
  local nodes = given(job.min_nodes) and job.min_nodes or 1
  if given(job.num_tasks) then
    local cores = job.num_tasks * (given(job.cpus_per_task) and job.cpus_per_task or 1)
    nodes = math.max(nodes, math.ceil(cores / here.cores))
    if given(job.ntasks_per_node) and job.ntasks_per_node > 0 then
      nodes = math.max(nodes, math.ceil(job.num_tasks / job.ntasks_per_node))
    end
  end
  local gpus = tonumber(string.match(job.tres_per_job or "", "gpu.-:(%d+)$"))
  if gpus and here.gpus > 0 then
    nodes = math.max(nodes, math.ceil(gpus / here.gpus))
  end
  if nodes <= here.nodes then
    job.exc_nodes = here.declared
  end
  return slurm.SUCCESS
end
function slurm_job_modify(job, record, visible, uid)
  return slurm.SUCCESS
end
"""


def _node_lines(kind: NodeKind) -> list[str]:
    gres = f" Gres=gpu:{kind.gpu_type + ':' if kind.gpu_type else ''}{kind.gpus}" if kind.gpus else ""
    features = f" Feature={','.join(kind.features)}" if kind.features else ""
    hardware = f"CPUs={kind.cores} RealMemory={kind.memory_mb}{gres}{features}"
    # The running nodes weigh less, so that a job is placed on them first.
    lines = [f"NodeName={node.name} NodeAddr={address(node)} {hardware} Weight=1" for node in kind.running]
    declared = [f"NodeName={_names(kind.declared)} {hardware} Weight=1000 State=CLOUD"] if kind.declared else []
    return lines + declared


def _partition_line(queue: Queue, default: bool) -> str:
    words = [f"PartitionName={queue.name} Nodes={_names(queue.nodes)} State=UP PriorityTier=1 PreemptMode=REQUEUE"]
    words += [f"DefMemPerCPU={queue.memory_mb_per_core}"]
    words += ["Default=YES"] if default else []
    words += ["OverSubscribe=EXCLUSIVE"] if queue.exclusive else []
    words += [f"MaxTime={queue.max_time}"] if queue.max_time else []
    words += [f"MinNodes={queue.min_nodes}"] if queue.min_nodes else []
    words += [f"MaxNodes={queue.max_nodes}"] if queue.max_nodes else []
    return " ".join(words)


def _names(nodes: Sequence[Node]) -> str:
    """Write nodes as Slurm's host list: node[01-04,07]."""
    prefix = nodes[0].name.rstrip("0123456789")
    width = len(nodes[0].name) - len(prefix)
    ranges = []
    for _, run in groupby(enumerate(node.number for node in nodes), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        ends = dict.fromkeys(f"{number:0{width}d}" for number in (numbers[0], numbers[-1]))
        ranges.append("-".join(ends))
    return f"{prefix}[{','.join(ranges)}]"
