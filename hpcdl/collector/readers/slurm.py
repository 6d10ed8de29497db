"""What Slurm writes into a job's log. Wordings: SchedMD/slurm, src/slurmd/slurmstepd/req.c, src/srun/launch.c,
src/plugins/task/cgroup/task_cgroup_memory.c; site epilogues after `State :` of sacct and seff."""

import re

from hpcdl.collector.events import Event, Fact, Sign
from hpcdl.collector.readers.numbers import TIME, seconds

TRIGGERS = (
    *("*** JOB", "*** STEP", "oom-kill", "oom_kill", "emory limit", "srun: ", "State", "slurm", "SLURM", "Slurm"),
    *(
        "Job ",
        "JobI",
        "alltime",
        "Wall-clock",
        "Elapsed",
        "Node failure",
        "sbatch: error",
        "Could not open std",
        "Name  ",
    ),
)

CANCELLED = re.compile(r"\*\*\* (JOB|STEP) (\S+) (?:ON (\S+) )?(?:CANCELLED AT (\S+)|FAILED\b)(.*?) ?\*\*\*")
OOM_KILL = re.compile(
    r"Detected (\d+) oom[-_]kill events?(?:\(s\))? in (?:step |StepId=)(\S+?)(?: cgroup)?(?:\.(?:\s|$)|$)"
)
MEMORY_LIMIT = re.compile(
    r"(?:(?:Job|Step|StepId=|JobId=)\s*\S* )exceeded (?:virtual )?memory limit|Exceeded job memory limit"
)
SRUN_TASK = re.compile(r"srun: error: (\S+): tasks? ([\d,-]+): (.+)")
LAUNCH = re.compile(
    r"srun: error: (?:Unable to (?:create step|allocate resources|confirm allocation).*|task \S+ launch failed.*|"
    r"Task launch for .* failed.*)|slurmstepd: error: execve\(\): .*|Could not open std(?:out|err) file .*|"
    r"(?:sbatch|srun): error: (?:Batch job submission failed|Unable to open file|Invalid).*"
    r"|slurmstepd: error: couldn't chdir.*"
)
NODE_FAILURE = re.compile(r"Node failure on \S+|\*\*\* (?:JOB|STEP) \S+ ON \S+ UNCORRECTABLE MEMORY ERROR AT")
FORCED = re.compile(r"srun: (?:Force Terminated|forcing job termination)")
STATE = re.compile(r"\s*(?:State|Job State|JobState)\s*[:=]\s*([A-Z_]+)\b(.*)")
JOB_ID = re.compile(
    r"\b(?:SLURM_JOB_?ID|Slurm [Jj]ob [Ii][Dd]|JobID|Job ID|JobId)\s*(?:[:=]|is)?\s*(\d{2,}(?:_\d+)?)\b"
)
EPILOGUE_JOB = re.compile(r"Job (\d+)(?:_\d+)? for user '")
EPILOGUE_NAME = re.compile(r"Name\s{3,}: (.+)")
USED = re.compile(rf"\s*(?:Used walltime|Job Wall-clock time|Elapsed)\s*:\s*({TIME})\s*")

DUE = {
    "TIME LIMIT": ("time_limit", "ended by Slurm at the time limit"),
    "PREEMPTION": ("preempted", "preempted by Slurm for another job"),
    "NODE FAILURE": ("node_failure", "a node failed"),
    "JOB REQUEUE": ("preempted", "requeued by Slurm"),
}
STATES = {
    "COMPLETED": ("completed", "success", "Slurm: COMPLETED"),
    "FAILED": ("crash", "consequence", "Slurm: FAILED"),
    "TIMEOUT": ("time_limit", "scheduler", "ended by Slurm at the time limit"),
    "OUT_OF_MEMORY": ("oom_host", "scheduler", "out of memory on the host (Slurm: OUT_OF_MEMORY)"),
    "NODE_FAIL": ("node_failure", "scheduler", "a node failed (Slurm: NODE_FAIL)"),
    "PREEMPTED": ("preempted", "scheduler", "preempted by Slurm for another job"),
    "BOOT_FAIL": ("node_failure", "scheduler", "a node failed to boot (Slurm: BOOT_FAIL)"),
    "DEADLINE": ("time_limit", "scheduler", "ended by Slurm at its deadline"),
}


def read(text: str) -> list[Event]:
    """Read one line of Slurm's own."""
    if match := CANCELLED.search(text):
        return [Fact("scheduler", "slurm"), *_cancelled(match)]
    if match := OOM_KILL.search(text):
        cause = f"out of memory on the host: Slurm's cgroup killed processes of step {match[2]}"
        return [Fact("scheduler", "slurm"), Sign("oom_host", "scheduler", cause)]
    if MEMORY_LIMIT.search(text):
        return [Fact("scheduler", "slurm"), Sign("memory_limit", "scheduler", "used more memory than it had asked for")]
    if match := LAUNCH.search(text):
        return [Fact("scheduler", "slurm"), Sign("launch_failure", "application", f"did not start: {match[0]}")]
    if match := SRUN_TASK.search(text):
        return [Fact("scheduler", "slurm"), _task(match)]
    if NODE_FAILURE.search(text):
        return [Fact("scheduler", "slurm"), Sign("node_failure", "scheduler", "a node failed")]
    if FORCED.match(text):
        return [Fact("scheduler", "slurm"), Sign("cancelled", "step", "Slurm forced the step to end")]
    if match := STATE.fullmatch(text):
        return _state(match)
    return _facts(text)


def _cancelled(match: re.Match[str]) -> list[Event]:
    kind, job, node, when, tail = match.groups()
    facts: list[Event] = [Fact("job_id", job.split(".")[0])]
    for words, (code, cause) in DUE.items():
        if words in tail.upper():
            return [*facts, Sign(code, "scheduler", cause, closes=code == "time_limit")]
    if when is None or "TASK FAILURE" in tail.upper():
        return [*facts, Sign("crash", "consequence", "Slurm ended the step because a task failed")]
    where = f" on {node}" if node else ""
    whole = kind == "JOB"
    level = "scheduler" if whole else "step"
    return [*facts, Sign("cancelled", level, f"cancelled at {when}{where}", closes=whole)]


def _task(match: re.Match[str]) -> Sign:
    node, tasks, what = match.groups()
    cause = f"task {tasks} on {node}: {what}"
    if "Out Of Memory" in what:
        return Sign("oom_host", "scheduler", f"out of memory on the host ({cause})")
    if what.startswith("Terminated"):
        return Sign("crash", "echo", cause)  # told to stop: never the cause
    return Sign("crash", "consequence", cause)


def _state(match: re.Match[str]) -> list[Event]:
    state, rest = match.groups()
    if state == "CANCELLED":
        who = re.search(r"by (\d+)", rest)
        if "TIMEOUT" in rest:
            return [Fact("scheduler", "slurm"), Sign("time_limit", "scheduler", "ended by Slurm at the time limit")]
        return [
            Fact("scheduler", "slurm"),
            Sign("cancelled", "epilogue", "cancelled" + (f" by user id {who[1]}" if who else "")),
        ]
    if "JobLaunchFailure" in rest:
        cause = "did not start: its output could not be written (Slurm: JobLaunchFailure)"
        return [Fact("scheduler", "slurm"), Sign("launch_failure", "scheduler", cause)]
    if state not in STATES:
        return []
    code, level, cause = STATES[state]
    return [Fact("scheduler", "slurm"), Sign(code, level, cause)]


def _facts(text: str) -> list[Event]:
    events: list[Event] = []
    if match := JOB_ID.search(text) or EPILOGUE_JOB.match(text):
        events.append(Fact("job_id", match[1]))
        if "SLURM" in text.upper() or match.re is EPILOGUE_JOB:
            events.append(Fact("scheduler", "slurm"))
    if match := EPILOGUE_NAME.fullmatch(text):
        events.append(Fact("job", match[1].strip()))
    if match := USED.fullmatch(text):
        events.append(Fact("time_s", seconds(match[1])))
    if "slurm_script: line" in text or "slurmstepd" in text:
        events.append(Fact("scheduler", "slurm"))
    return events
