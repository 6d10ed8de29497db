"""What squeue, scontrol and sacct say of jobs, read into one form (pure).

Only options and fields that Slurm has had since 20.02 are used, and separators instead of --json, whose layout changes
with the version.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

SQUEUE_FIELDS = "%i|%T|%r|%M|%l|%S|%e|%N|%o"
"""Job (with `_TASK` in an array), state, reason, time used, time limit, start (expected while it waits), end, nodes,
and the script, which comes last because a path may hold the separator."""
SACCT_FIELDS = "JobID,State,ExitCode,Elapsed,Timelimit,Start,End,NodeList"

_SCONTROL = {
    "state": "JobState",
    "reason": "Reason",
    "exit_code": "ExitCode",
    "elapsed": "RunTime",
    "limit": "TimeLimit",
    "start": "StartTime",
    "end": "EndTime",
    "nodes": "NodeList",
    "script": "Command",
}
_NOTHING = {"", "(null)", "N/A", "None", "None assigned", "Unknown", "NONE", "NOT_SET", "INVALID"}


_SAYS_LITTLE = {"COMPLETED": 2, "CANCELLED": 1}
"""States of a component of a heterogeneous job that another component's state comes before."""


@dataclass(frozen=True)
class SlurmJob:
    """A job as one of Slurm's programs sees it. What it does not say is None."""

    source: str
    """`squeue`, `scontrol` or `sacct`; `hpcdl cancel` for what it took out of the queue itself."""
    job_id: str
    """`12`, or `12_3` for a task of an array."""
    state: str
    """Slurm's own word: PENDING, RUNNING, ..."""
    reason: str | None = None
    exit_code: str | None = None
    """`CODE:SIGNAL`."""
    elapsed: str | None = None
    """[D-]HH:MM:SS or MM:SS"""
    limit: str | None = None
    start: str | None = None
    """Local time of the cluster, ISO 8601; of a job that waits, when Slurm expects it to start."""
    end: str | None = None
    nodes: str | None = None
    script: str | None = None
    steps: tuple[str, ...] = ()
    """States of its steps other than COMPLETED, as `12.0 OUT_OF_MEMORY`; sacct alone knows them."""

    @property
    def evidence(self) -> str:
        """What the program said, on one line: `squeue: 12 FAILED, reason NonZeroExitCode`."""
        more = [f"reason {self.reason}" if self.reason else "", f"exit code {self.exit_code}" if self.exit_code else ""]
        return ", ".join([f"{self.source}: {self.job_id} {self.state}", *filter(None, more)])


def read_squeue(text: str) -> dict[str, SlurmJob]:
    """Return the jobs in an answer to `squeue --noheader --array --format=SQUEUE_FIELDS`, by id."""
    jobs: dict[str, SlurmJob] = {}
    for line in text.splitlines():
        parts = line.split("|", 8)
        if len(parts) != 9 or not re.match(r"\d", parts[0]):
            continue  # a site's greeting, or the name of a cluster
        job_id, state, reason, elapsed, limit, start, end, nodes, script = (_known(part) for part in parts)
        assert job_id
        for task in expand(job_id):
            jobs[task] = SlurmJob(
                "squeue", task, state or "", reason, None, elapsed, limit, start, end, nodes, script=script
            )
    return _whole(jobs)


def read_scontrol(text: str) -> dict[str, SlurmJob]:
    """Return the jobs in an answer to `scontrol --oneliner show job`, by id."""
    jobs = {}
    for line in text.splitlines():
        fields = dict(re.findall(r"(?:^|\s)([A-Za-z/:]+)=(.*?)(?=\s+[A-Za-z/:]+=|\s*$)", line))
        if "JobState" not in fields:
            continue
        array, task = fields.get("ArrayJobId"), fields.get("ArrayTaskId")
        named = f"{array}_{task}" if array and task and task.isdecimal() else fields.get("JobId", "")
        values = {name: _known(fields.get(key, "")) for name, key in _SCONTROL.items()}
        jobs[named] = SlurmJob("scontrol", named, **{**values, "state": values["state"] or ""})  # type: ignore[arg-type]
    return jobs


def read_sacct(text: str) -> dict[str, SlurmJob]:
    """Return the jobs in an answer to `sacct --noheader --parsable2 --format=SACCT_FIELDS`, by id."""
    jobs: dict[str, SlurmJob] = {}
    steps: dict[str, list[str]] = {}
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) != 8:
            continue
        named, state, exit_code, elapsed, limit, start, end, nodes = (_known(part) for part in parts)
        if not named or not state:
            continue
        state = state.split()[0].rstrip("+")  # CANCELLED by 1000
        base, _, step = named.partition(".")
        if step:
            if state != "COMPLETED" and step not in ("batch", "extern"):
                steps.setdefault(base, []).append(f"{named} {state}")
            continue
        for task in expand(base):
            jobs[task] = SlurmJob("sacct", task, state, None, exit_code, elapsed, limit, start, end, nodes)
    return _whole({job_id: _with_steps(job, steps.get(job_id, [])) for job_id, job in jobs.items()})


def read_scripts(text: str) -> list[tuple[str, str]]:
    """Return (job id, script) of each line `ID|SCRIPT`, arrays and heterogeneous jobs by the id of the whole."""
    pairs = (line.split("|", 1) for line in text.splitlines() if re.match(r"\d+[|_+]", line))
    return [(re.split(r"[_+]", pair[0])[0], pair[1].strip()) for pair in pairs if len(pair) == 2]


def expand(job_id: str) -> Iterator[str]:
    """Yield the ids that an id stands for: `7_[1-3,8%2]` are four tasks that wait.

    >>> list(expand("7_[1-3,8%2]"))
    ['7_1', '7_2', '7_3', '7_8']
    """
    base, bracket, inside = job_id.partition("_[")
    if not bracket:
        yield job_id
        return
    for part in inside.rstrip("]").partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match:
            first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
            yield from (f"{base}_{index}" for index in range(first, last + 1, max(step, 1)))


def _whole(jobs: dict[str, SlurmJob]) -> dict[str, SlurmJob]:
    """Make one job of the components `12+0`, `12+1` of a heterogeneous job 12.

    It is as its first component is, where the script runs, unless that was cancelled or completed and another one says
    more: it has not ended yet, or failed.
    """
    whole: dict[str, SlurmJob] = {}
    for named in sorted(jobs, key=lambda named: int(named.partition("+")[2] or 0)):
        job_id, job = named.partition("+")[0], jobs[named]
        known = whole.get(job_id)
        if known is None or _SAYS_LITTLE.get(job.state, 0) < _SAYS_LITTLE.get(known.state, 0):
            whole[job_id] = replace(job, job_id=job_id, steps=(known.steps if known else ()) + job.steps)
        else:
            whole[job_id] = replace(known, steps=known.steps + job.steps)
    return whole


def _with_steps(job: SlurmJob, steps: list[str]) -> SlurmJob:
    return SlurmJob(**{**job.__dict__, "steps": tuple(steps)})


def _known(text: str) -> str | None:
    text = text.strip()
    return None if text in _NOTHING else text
