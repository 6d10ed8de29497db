"""LSF: the report that it mails or appends to a job's log, and its reasons for ending a job (TERM_*)."""

import re

from hpcdl.collector.events import Event, Fact, Sign

TRIGGERS = ("LSF", "TERM_", "Exited ", "Successfully completed.", "Run time :", "Subject: Job", "Job <")

TERM = re.compile(r"\bTERM_(\w+): ?(.*)")
EXITED = re.compile(r"Exited with exit code (\d+)\.|Exited by signal (\d+)\.")
SUBJECT = re.compile(r"Subject: Job (\d+(?:\[\d+\])?): <(.*?)> in cluster")
RUN_TIME = re.compile(r"\s*Run time :\s+(\d+)(?:\.\d+)? sec\.")
CODES = {
    "RUNLIMIT": "time_limit",
    "CPULIMIT": "time_limit",
    "WINDOW": "time_limit",
    "DEADLINE": "time_limit",
    "MEMLIMIT": "memory_limit",
    "SWAP": "memory_limit",
    "PREEMPT": "preempted",
    "OWNER": "cancelled",
    "ADMIN": "cancelled",
    "FORCE_OWNER": "cancelled",
    "FORCE_ADMIN": "cancelled",
}


def read(text: str) -> list[Event]:
    """Read one line of LSF's report."""
    if match := TERM.search(text):
        code = CODES.get(match[1])
        return [Sign(code, "scheduler", f"ended by LSF: {match[0].strip()}")] if code else []
    if match := EXITED.match(text):
        return [Sign("crash", "consequence", match[0].rstrip(".").lower(), closes=True)]
    if text.strip() == "Successfully completed.":
        return [Sign("completed", "success", "LSF: successfully completed", closes=True)]
    if match := SUBJECT.match(text):
        return [Fact("scheduler", "lsf"), Fact("job_id", match[1]), Fact("job", match[2])]
    if match := RUN_TIME.match(text):
        return [Fact("time_s", float(match[1]))]
    return [Fact("scheduler", "lsf")] if text.startswith("Sender: LSF System") else []
