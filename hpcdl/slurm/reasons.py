"""Why a job waits: Slurm's reason codes in plain words.

Source: https://slurm.schedmd.com/job_reason_codes.html (read 2026-11). The codes of limits are built from parts, as
`QOSMaxGRESPerUser`, so those are read by their parts.
"""

import re

REASONS: dict[str, tuple[str, str | None]] = {
    "None": ("Slurm has not looked at it yet", None),
    "Resources": ("waits for free nodes; it is next in line", None),
    "Priority": ("waits for jobs of higher priority", None),
    "Dependency": ("waits for another job to end", None),
    "DependencyNeverSatisfied": (
        "the job that it waits for has ended the wrong way: it would wait for ever",
        "cancel it, repair the other job, submit both again",
    ),
    "BeginTime": ("its earliest start time has not come; after a requeue Slurm lets a job wait a while", None),
    "JobArrayTaskLimit": ("as many tasks of its array run as its throttle (%N) allows", None),
    "JobHeldUser": ("held by you", "scontrol release JOB"),
    "JobHeldAdmin": ("held by an administrator", "ask the site's support"),
    "JobHoldMaxRequeue": ("requeued as often as the site allows, then held", "look into its logs, then cancel it"),
    "Cleaning": ("is being requeued; its previous run is still being cleaned up", None),
    "Prolog": ("the site's prolog is preparing its nodes", None),
    "Reservation": ("waits for its reservation to begin", None),
    "ReservationDeleted": ("its reservation is gone", "cancel it and submit without slurm.reservation"),
    "ReqNodeNotAvail": (
        "a node that it asks for by name is in use, reserved or down; before a maintenance its time limit may not fit",
        "ask for less time, or leave out the node's name",
    ),
    "NodeDown": ("a node that it needs is down", None),
    "Licenses": ("waits for a licence", None),
    "BadConstraints": ("no node can ever satisfy its constraints", "cancel it and correct slurm.constraint"),
    "Constraints": ("no node satisfies its constraints at the moment", None),
    "DeadLine": ("cannot end before its deadline", "cancel it, or change slurm.deadline"),
    "InvalidAccount": ("its account is not valid", "cancel it and give a valid account in your settings"),
    "InvalidQOS": ("its QOS is not valid", "cancel it and correct slurm.qos"),
    "AccountNotAllowed": ("its account may not use this partition", "cancel it and choose another partition"),
    "QOSNotAllowed": ("its QOS may not be used with this account or partition", "cancel it and correct slurm.qos"),
    "AccountingPolicy": ("a limit of your account", None),
    "AssociationJobLimit": ("your account runs as many jobs as it may", None),
    "AssociationResourceLimit": ("your account uses as much as it may", None),
    "AssociationTimeLimit": ("your account's time is used up", "ask for more time on the project"),
    "QOSJobLimit": ("as many jobs run in its QOS as may", None),
    "QOSResourceLimit": ("its QOS uses as much as it may", None),
    "QOSTimeLimit": ("the time of its QOS is used up", "ask for more time on the project"),
    "QOSUsageThreshold": ("below the usage threshold of its QOS", None),
    "PartitionConfig": ("beyond a limit of its partition", "cancel it and ask for less, or choose another partition"),
    "PartitionDown": ("its partition is down", "wait for the site, or choose another partition"),
    "PartitionInactive": ("its partition starts no jobs", "wait for the site, or choose another partition"),
    "PartitionNodeLimit": (
        "more or fewer nodes than its partition gives, or nodes that it needs are down",
        "cancel it and change resources.nodes, or choose another partition",
    ),
    "PartitionTimeLimit": (
        "its time limit is longer than its partition allows: it would wait for ever",
        "cancel it and ask for less time, or choose another partition",
    ),
    "MaxMemPerLimit": ("more memory per CPU or node than allowed", "cancel it and ask for less memory"),
    "BurstBufferOperation": ("its burst buffer failed", "ask the site's support"),
    "BurstBufferResources": ("waits for room in a burst buffer", None),
    "BurstBufferStageIn": ("its burst buffer is being filled", None),
    "FedJobLock": ("waits for the other clusters of the federation", None),
    "SchedDefer": ("asks to start at once, and the site starts nothing at once", None),
    "InactiveLimit": ("reached the site's limit for inactive jobs", None),
    "JobLaunchFailure": (
        "could not be started: a file system, a folder or a program is missing",
        "look at the paths of its logs and its working folder, then cancel it and submit again",
    ),
    "SystemFailure": ("a failure of Slurm, a file system or the network", "ask the site's support"),
    "NonZeroExitCode": ("ended with an exit code that is not 0", None),
    "OutOfMemory": ("ran out of memory", None),
    "TimeLimit": ("used up its time limit", None),
}
"""By code: what it means, and what the user can do about it (None: wait)."""

_WHOSE = {"Assoc": "your account", "QOS": "its QOS", "": "your account in its QOS"}
_WHAT = {
    "Billing": "billing units",
    "BB": "burst buffer",
    "Cpu": "CPUs",
    "CPU": "CPUs",
    "Energy": "energy",
    "GRES": "GPUs or other generic resources",
    "Jobs": "running jobs",
    "Job": "jobs",
    "License": "licences",
    "Mem": "memory",
    "Memory": "memory",
    "Node": "nodes",
    "SubmitJobs": "submitted jobs",
    "SubmitJob": "submitted jobs",
    "Unknown": "a resource",
    "Wall": "wall time",
    "WallDuration": "wall time",
}
_KINDS = "|".join(sorted(_WHAT, key=len, reverse=True))
_LIMIT = re.compile(
    rf"(Assoc|QOS|)(Grp|Max|Min)({_KINDS})(Minutes|RunMinutes)?(PerJob|PerNode|PerUser|PerAccount|NotSatisfied)?(?:Limit)?"
)


def in_words(reason: str | None) -> tuple[str, str | None]:
    """Return what a reason code means, and what to do about it where waiting does not help.

    >>> in_words("QOSMaxGRESPerUser")[0]
    'its QOS allows no more GPUs or other generic resources for one user (QOSMaxGRESPerUser)'
    """
    if reason is None:
        return REASONS["None"]
    code = re.split(r"[,\s(]", reason.strip("()"), maxsplit=1)[0]
    if code in REASONS:
        words, remedy = REASONS[code]
        return f"{words} ({reason.strip('()')})", remedy
    match = _LIMIT.fullmatch(code)
    if not match:
        return f"Slurm says: {reason}", None
    whose, bound, what, minutes, per = match.groups()
    thing = f"minutes of {_WHAT[what]}" if minutes else _WHAT[what]
    for_whom = {
        "PerJob": " for one job",
        "PerNode": " on one node",
        "PerUser": " for one user",
        "PerAccount": " for one account",
    }.get(per or "", "")
    if bound == "Grp":  # all jobs together: the end of one of them helps
        return f"all jobs of {_WHOSE[whose]} together use all the {thing} that they may ({code})", None
    if bound == "Min":
        return f"{_WHOSE[whose]} wants more {thing} of a job than it asks for ({code})", "cancel it and ask for more"
    hopeless = per in ("PerJob", "PerNode") or what == "WallDuration"
    remedy = "cancel it and ask for less, or take another QOS or partition" if hopeless else None
    return f"{_WHOSE[whose]} allows no more {thing}{for_whom} ({code})", remedy
