"""One run of a program with processes of its own (mpirun, torchrun): how long it took, and the memory of each."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL_S = 0.2
"""Between two looks at the memory."""


Started = tuple[float, "subprocess.Popen[str]"]


class Failed(RuntimeError):
    """A program of the bench ended with an error; the message holds the end of what it said."""


@dataclass
class Ended:
    """What is known of a program after its end."""

    began: float
    """When it was started, in s since 1970."""
    wall_s: float
    output: str
    memory_mb: list[float] = field(default_factory=list)
    """The most memory of each of its processes, the largest first, in MB: the proportional set size, in which a page
    that n processes share counts to each as 1/n. Empty where it was not asked for."""


def run(command: Sequence[str], variables: Mapping[str, str] | None = None, with_memory: bool = False) -> Ended:
    """Run a program to its end.

    Raises:
        Failed: its exit code is not 0.
    """
    return finish(start(command, variables), with_memory)


def start(command: Sequence[str], variables: Mapping[str, str] | None = None, core: int | None = None) -> Started:
    """Start a program, on one of this process's cores if `core` says which.

    Returns:
        When that was, in s since 1970, and the process.
    """
    words = list(command)
    if core is not None:
        words = ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[core]), *words]
    began = time.time()
    environment = {**os.environ, **(variables or {}), "BENCH_BEGAN": repr(began)}
    pipe = subprocess.PIPE
    return began, subprocess.Popen(words, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def finish(started: Started, with_memory: bool = False) -> Ended:
    """Wait for the end of a program.

    Raises:
        Failed: its exit code is not 0.
    """
    began, process = started
    memory = _Memory(process.pid) if with_memory else None
    output, _ = process.communicate()
    wall_s = time.time() - began
    found = memory.stop() if memory else []
    if process.returncode:
        raise Failed(f"{process.args} ended with exit code {process.returncode}:\n{output[-2000:]}")
    return Ended(began, wall_s, output, found)


class _Memory(threading.Thread):
    """Looks at the memory of a process and its descendants until it is stopped."""

    def __init__(self, root: int):
        super().__init__(daemon=True)
        self._root, self._most, self._done = root, {}, threading.Event()  # type: ignore[var-annotated]
        self.start()

    def run(self) -> None:
        while not self._done.wait(INTERVAL_S):
            for pid in _tree(self._root):
                self._most[pid] = max(self._most.get(pid, 0.0), _pss_mb(pid))

    def stop(self) -> list[float]:
        self._done.set()
        self.join()
        return sorted((round(most, 1) for most in self._most.values()), reverse=True)


def _tree(pid: int) -> list[int]:
    children = _read(f"/proc/{pid}/task/{pid}/children").split()
    return [pid, *(below for child in children for below in _tree(int(child)))]


def _pss_mb(pid: int) -> float:
    lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:")), 0.0)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # it has ended meanwhile
        return ""
