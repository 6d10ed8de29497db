"""Measuring programs side by side: interleaved runs, medians, peak memory, the machine, JSON and a Markdown table."""

import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Measured:
    """What several runs of one program took."""

    seconds: list[float] = field(default_factory=list)
    """Wall-clock time of each run, in s."""
    peak_mb: float = 0.0
    """The largest resident memory of any of its processes, in MB."""
    output: str = ""
    """What the last run wrote to standard output."""

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


def run(command: Sequence[str], **variables: str) -> tuple[float, float, str]:
    """Run a program; return its seconds, its peak memory in MB, and its output.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env={**os.environ, **variables})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        output.seek(0)
        return seconds, usage.ru_maxrss * 1024 / 1e6, output.read().decode()


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Measured]:
    """Run programs in turns, so that whatever else the machine does meets all of them alike.

    Args:
        commands: by name.
        rounds: how often each is run and counted; one round before them, which fills the page cache, is not.
    """
    found = {name: Measured() for name in commands}
    names = list(commands)
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds, peak_mb, output = run(commands[name])
            if turn:
                found[name].seconds.append(round(seconds, 4))
            found[name].peak_mb = max(found[name].peak_mb, round(peak_mb, 1))
            found[name].output = output
    return found


def machine() -> dict[str, object]:
    """Describe this machine, and what else it was doing."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory_kb = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpus[0] if cpus else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_kb * 1024 / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_of_1_minute": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def write(path: Path, title: str, results: dict[str, object], text: str) -> None:
    """Write PATH.json with all that was measured and PATH.md with the tables, each with the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    here = machine()
    whole = {"machine": here, **results}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1, default=asdict) + "\n")
    described = ", ".join(f"{name} {value}" for name, value in here.items())
    path.with_suffix(".md").write_text(f"# {title}\n\nMeasured on: {described}.\n\n{text}")
