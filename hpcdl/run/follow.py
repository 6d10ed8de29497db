"""Following runs: their logs as they are written, and their states as they change."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from hpcdl.run.find import Run, find_runs
from hpcdl.run.states import State
from hpcdl.run.status import Status, look
from hpcdl.run.tail import Tail
from hpcdl.slurm.client import Slurm

Stream = Literal["out", "err"]
STREAMS: dict[Stream, tuple[str, ...]] = {
    "out": ("*_out.*", "*.out", "*.o[0-9]*"),
    "err": ("*_err.*", "*.err", "*.e[0-9]*"),
}
"""The names of logs in a run's folder."""

POLL_S = 0.5
ASK_S = 10
"""Seconds between two questions to Slurm."""


def logs(folder: Path, stream: Stream) -> list[Path]:
    """Return a run's logs that are there, the oldest first: one for each job that it was."""
    found = {path for pattern in STREAMS[stream] for path in folder.glob(pattern) if path.is_file()}
    return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))


def lines(
    runs: Sequence[Run], stream: Stream, follow: bool, slurm: Slurm | None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Run, str]]:
    """Yield the lines of runs' logs; with `follow` until all of them have ended, through requeues and new logs.

    A log that is not there yet is waited for. Slurm is asked every ASK_S seconds whether the runs have ended.
    """
    tails: dict[Path, Tail] = {}
    ended = not follow
    asked = -float(ASK_S)
    clock = 0.0
    while True:
        if not ended and clock - asked >= ASK_S:
            asked = clock
            ended = all(status.state.ended for status in look(_again(runs), slurm))
        last_time = ended  # asked before reading: what is written until then is read
        for run in runs:
            for path in logs(run.folder, stream):
                for line in tails.setdefault(path, Tail(path)).read(all_of_it=last_time):
                    yield run, line
        if last_time:
            return
        sleep(POLL_S)
        clock += POLL_S


def watch(
    runs: Sequence[Run], slurm: Slurm | None, interval_s: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[list[Status]]:
    """Yield what runs are doing, every `interval_s` seconds, until all have ended; those are not asked for again."""
    known: dict[Path, Status] = {}
    doubted: set[Path] = set()
    while True:
        waiting = [run for run in runs if run.folder not in known]
        new = {Path(status.folder): status for status in look(_again(waiting), slurm)}
        yield [known.get(run.folder) or new[run.folder] for run in runs]
        # LOST is believed the second time: the exit record may still be on its way through the file system.
        known |= {
            folder: status
            for folder, status in new.items()
            if status.state.ended and (status.state is not State.LOST or folder in doubted)
        }
        doubted.update(folder for folder, status in new.items() if status.state is State.LOST)
        if len(known) == len(runs):
            return
        sleep(interval_s)


def _again(runs: Sequence[Run]) -> list[Run]:
    """Read the runs' folders anew: a job id may have been written down since."""
    return [run for known in runs for run in find_runs([known.folder], known.folder.parent)]
