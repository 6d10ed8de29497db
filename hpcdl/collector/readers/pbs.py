"""PBS and Torque: what the daemon and the sites' epilogues write. Wordings: openpbs src/resmom/mom_main.c."""

import re

from hpcdl.collector.events import Event, Fact, Sign
from hpcdl.collector.readers.numbers import TIME, seconds

TRIGGERS = (
    "=>> PBS",
    "Exit Status",
    "Exit_status",
    "exit_status",
    "Walltime",
    "JobId",
    "PBS_JOBID",
    "PBS Job",
    "Job ID:",
    "PBS",
)

KILLED = re.compile(r"=>> PBS: job killed: (?P<what>\w+).*?(?P<limit>exceeded limit|\(sum\)|\(burst\)|$)")
EXIT = re.compile(r"\s*Exit[ _][Ss]tatus\s*[:=]\s*(-?\d+)\s*")
WALLTIME = re.compile(rf"(?:.*Walltime requested:\s*({TIME})\s+)?.*Walltime Used:\s*({TIME})\s*")
JOB_ID = re.compile(r"(?:\bJobId|PBS_JOBID|PBS Job ID|Job ID)\s*[:=]\s*(\d+(?:\[\d+\])?)(?:\.[\w.-]+)?")
MEMORY = ("mem", "vmem", "pmem", "pvmem")


def read(text: str) -> list[Event]:
    """Read one line of PBS's or of a site's epilogue."""
    if match := KILLED.search(text):
        what = match["what"]
        code = (
            "memory_limit" if what in MEMORY else "time_limit" if what in ("walltime", "cput", "pcput") else "cancelled"
        )
        return [Fact("scheduler", "pbs"), Sign(code, "scheduler", f"ended by PBS: {text[match.start() + 5 :].strip()}")]
    if match := EXIT.match(text):
        return [Fact("scheduler", "pbs"), _exit(int(match[1]))]
    if match := WALLTIME.match(text):
        used = seconds(match[2])
        events: list[Event] = [Fact("scheduler", "pbs"), Fact("time_s", used)]
        if match[1] and used >= seconds(match[1]):
            events.append(Sign("time_limit", "limit", f"ended by PBS at the time limit ({match[1]})"))
        return events
    if (match := JOB_ID.search(text)) and ("PBS" in text or "." in text[match.end(1) : match.end()]):
        return [Fact("scheduler", "pbs"), Fact("job_id", match[1])]
    return []


def _exit(status: int) -> Sign:
    if status == 0:
        return Sign("completed", "success", "PBS: exit status 0", closes=True)
    number = status - 256 if status > 256 else status - 128
    if number == 15:  # PBS reports 256 + signal; SIGTERM is how qdel and the limits end a job
        return Sign(
            "cancelled", "epilogue", f"ended by a signal from outside (exit status {status}: SIGTERM)", closes=True
        )
    return Sign("crash", "consequence", f"exit status {status}", closes=True)
