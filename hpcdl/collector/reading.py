"""One run read: its rows, and what could not be read."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from hpcdl.collector.logs import Logs, read_logs
from hpcdl.collector.readers import Reader
from hpcdl.collector.row import Row

Run = Path | Logs
"""What find.find_runs finds: a run folder of hpcdl's own, or the logs of another run."""


class Reading(NamedTuple):
    """What reading one run gave."""

    rows: list[Row]
    warnings: list[str]


def readers_of(dialects: Iterable[Path | str], warn: Callable[[str], None]) -> Callable[[], Sequence[Reader]]:
    """Return the function that makes the readers of the user's own dialects, fresh for each file.

    Raises:
        CollectError: a dialect is wrong.
    """
    paths = list(dialects)
    if not paths:
        return tuple
    from hpcdl.collector.dialect import load_dialects

    return load_dialects(paths, warn)


class RunReader:
    """Reads runs, one after the other."""

    def __init__(self, dialects: Iterable[Path | str] = ()) -> None:
        """Read the dialects.

        Raises:
            CollectError: one is wrong.
        """
        self._warnings: list[str] = []
        self._more = readers_of(dialects, lambda text: self._warnings.append(text))

    def read(self, run: Run) -> Reading:
        """Return the rows of a run, none where nothing could be read."""
        self._warnings = []
        rows: list[Row] = []
        if isinstance(run, Logs):
            rows = read_logs(run, self._warnings.append, self._more)
        else:
            from hpcdl.collector.runfolder import read_run_folder

            try:
                rows = [read_run_folder(run, self._warnings.append)]
            except OSError as error:
                self._warnings.append(f"{run}: cannot be read ({error.strerror})")
        return Reading(rows, self._warnings)


class Files(NamedTuple):
    """The files of a run as they are now, without reading them."""

    mark: str
    """Changes with any of them: names, sizes in bytes, times of modification in ns, inodes."""
    size: int
    """Bytes of all."""
    newest_ns: int
    """When the last of them was modified, in ns since 1970."""


def files_of(run: Run) -> Files | None:
    """Return the state of a run's files; None where it cannot be told (standard input, a file that is gone)."""
    try:
        if isinstance(run, Logs):
            found = [(str(path), os.stat(path)) for path in run.files]
        else:
            with os.scandir(run) as entries:
                found = sorted((entry.name, entry.stat()) for entry in entries)
    except OSError:
        return None
    marks = [f"{name}:{at.st_size}:{at.st_mtime_ns}:{at.st_ino}" for name, at in found]
    return Files(
        "/".join(marks),
        sum(at.st_size for _, at in found),
        max((at.st_mtime_ns for _, at in found), default=0),
    )
