"""From paths to the runs below them."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from hpcdl.collector.row import Row
from hpcdl.collector.runfolder import is_run_folder, read_run_folder

Warn = Callable[[str], None]
Run = Callable[[Warn], Row]
"""A run that was found: call it to read it."""


def find_runs(paths: Sequence[Path], warn: Warn) -> Iterator[Run]:
    """Yield the runs under `paths`, each once."""
    seen: set[tuple[int, int]] = set()
    for path in paths:
        found = False
        for folder in _folders(path, warn):
            try:
                status = folder.stat()
                key = (status.st_dev, status.st_ino)
                if key in seen:
                    found = True
                elif is_run_folder(folder):
                    found = True
                    seen.add(key)
                    yield partial(read_run_folder, folder)
                elif folder != path and not any(folder.iterdir()):
                    warn(f"{folder}: empty folder, no run in it")
            except OSError as error:
                warn(f"{folder}: cannot be read ({error.strerror})")
        if not found and path.is_dir():
            warn(f"{path}: no run in it")


def _folders(path: Path, warn: Warn) -> Iterator[Path]:
    """Yield `path` and the folders below it, by name; links to folders are not followed, so that none loops."""

    def failed(error: OSError) -> None:
        warn(f"{error.filename}: cannot be read ({error.strerror})")

    for folder, below, _ in os.walk(path, onerror=failed):
        below.sort()
        yield Path(folder)
