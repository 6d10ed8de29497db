"""Faults on demand: what happens to jobs on a real cluster, made to happen now, by real means."""

import re
from datetime import datetime, timedelta

from hpcdl.sandbox import daemons, namespaces, nodes
from hpcdl.sandbox.cluster import Cluster, Node
from hpcdl.sandbox.errors import SandboxUsageError
from hpcdl.sandbox.state import Sandbox
from hpcdl.sandbox.waiting import wait_until

PREEMPTOR = "preemptor"
"""The partition of higher priority that exists while a job is preempted."""
SOONEST_END = 5
"""Seconds; see `expire`."""
DOWN_WITHIN = 60
"""Seconds: SlurmdTimeout and the rhythm in which slurmctld pings."""


def fail_node(sandbox: Sandbox, name: str) -> None:
    """Kill everything on a node at once and unplug it; return when Slurm itself has found it down (about 20 s).

    Raises:
        SandboxUsageError: there is no such live node.
    """
    login = sandbox.require_keeper()
    namespaces.end(sandbox.require_node(name))
    wait_until(lambda: "DOWN" in node_state(login, name), DOWN_WITHIN, f"slurmctld to notice that {name} is down")


def restore_node(sandbox: Sandbox, cluster: Cluster, name: str, share: tuple[str, ...]) -> None:
    """Start a failed node again, or let a drained one take jobs; return when it can.

    Raises:
        SandboxUsageError: the sandbox runs no such node.
    """
    login = sandbox.require_keeper()
    node = _node(cluster, name)
    if name not in sandbox.node_keepers:
        keeper = nodes.start_node(sandbox.name, login, node, share)
        daemons.start_slurmd(keeper, name)
    elif "DRAIN" in node_state(login, name):
        daemons.must_run(login, ["scontrol", "update", f"nodename={name}", "state=resume"])
    wait_until(lambda: _takes_jobs(node_state(login, name)), DOWN_WITHIN, f"{name} to take jobs")


def drain_node(sandbox: Sandbox, cluster: Cluster, name: str) -> None:
    """Let a node take no further job; what runs there goes on.

    Raises:
        SandboxUsageError: the sandbox runs no such node.
    """
    _node(cluster, name)
    reason = ["state=drain", "reason=hpcdl sandbox drain"]
    daemons.must_run(sandbox.require_keeper(), ["scontrol", "update", f"nodename={name}", *reason])


def preempt(sandbox: Sandbox, job: str) -> None:
    """Let Slurm preempt a running job: one of a partition with higher priority asks for its nodes.

    A job that may be requeued goes back to the queue, another is cancelled; its state is then PREEMPTED.

    Raises:
        SandboxUsageError: the job does not run.
    """
    login = sandbox.require_keeper()
    where = _running_on(login, job)
    partition = ["nodes=ALL", "prioritytier=100", "preemptmode=off", "rootonly=yes"]
    request = [f"--partition={PREEMPTOR}", f"--nodelist={where}", "--exclusive", "--mem=0", "--output=/dev/null"]
    daemons.must_run(login, ["scontrol", "create", f"partitionname={PREEMPTOR}", *partition])
    try:
        daemons.must_run(login, ["sbatch", "--wait", "--no-requeue", *request, "--wrap=true"])
    finally:
        daemons.run(login, ["scancel", f"--partition={PREEMPTOR}"])
        daemons.must_run(login, ["scontrol", "delete", f"partitionname={PREEMPTOR}"])


def expire(sandbox: Sandbox, job: str, seconds: int) -> None:
    """Let a running job reach its time limit soon: its end is moved, the rest is Slurm's own doing.

    slurmctld looks for jobs past their limit every 30 s, so the end comes up to half a minute after `seconds`.

    Args:
        sandbox: which one.
        job: the id of a running job.
        seconds: from now, at least SOONEST_END: slurmctld refuses an end that has passed when it hears of it.

    Raises:
        SandboxUsageError: the job does not run.
    """
    login = sandbox.require_keeper()
    _running_on(login, job)
    end = datetime.now() + timedelta(seconds=max(seconds, SOONEST_END))
    daemons.must_run(login, ["scontrol", "update", f"jobid={job}", f"endtime={end:%Y-%m-%dT%H:%M:%S}"])


def stop_daemon(sandbox: Sandbox, program: str) -> None:
    """Stop slurmctld or slurmdbd; `start_daemon` brings it back with what it had saved.

    Raises:
        SandboxUsageError: it does not run here.
    """
    login = sandbox.require_keeper()
    if not daemons.runs(login, program):
        raise SandboxUsageError(f"no {program} runs in sandbox '{sandbox.name}'{_why_absent(program)}.")
    daemons.stop(login, program)


def start_daemon(sandbox: Sandbox, program: str) -> None:
    """Start slurmctld or slurmdbd again and return when it answers."""
    login = sandbox.require_keeper()
    if program == "slurmdbd":
        daemons.start_slurmdbd(login)
    else:
        daemons.start_slurmctld(login)


def node_state(login: int, name: str) -> str:
    """Return a node's state in Slurm's words, such as IDLE, MIXED+DRAIN or DOWN*."""
    shown = daemons.must_run(login, ["scontrol", "--oneliner", "show", "node", name])
    match = re.search(r" State=(\S+)", shown)
    return match[1] if match else "UNKNOWN"


def _takes_jobs(state: str) -> bool:
    return state in {"IDLE", "MIXED", "ALLOCATED", "COMPLETING"}


def _running_on(login: int, job: str) -> str:
    """Return the nodes of a running job, as Slurm's host list."""
    if not re.fullmatch(r"\d+(_\d+)?", job):
        raise SandboxUsageError(f"{job!r} is no job id; write the number that sbatch printed, as in 12 or 12_3.")
    question = ["squeue", "--noheader", f"--jobs={job}", "--states=RUNNING", "--format=%N"]
    shown = daemons.run(login, question).stdout.strip()
    if not shown:
        raise SandboxUsageError(f"job {job} does not run; `hpcdl sandbox exec -- squeue` lists those that do.")
    return shown


def _node(cluster: Cluster, name: str) -> Node:
    for node in cluster.running:
        if node.name == name:
            return node
    raise SandboxUsageError(
        f"no node '{name}' runs here; there are {', '.join(node.name for node in cluster.running)}."
    )


def _why_absent(program: str) -> str:
    return ": it was brought up without --accounting, or it is stopped already" if program == "slurmdbd" else ""
