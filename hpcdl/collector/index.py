"""What was read before: an SQLite file beside the runs, so that a run that has not changed is not read again.

It is a cache and never a reason to fail: damaged, it is made anew; not writable, it lies in the user's cache folder;
locked, the runs are read. A run is served from it only while its files are as they were, and never while it runs:
whether its process lives is asked anew each time. Rollback journal, not WAL, which does not work over NFS
(https://sqlite.org/wal.html).
"""

import errno
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from hpcdl import __version__
from hpcdl.collector.find import is_run
from hpcdl.collector.kept import Kept
from hpcdl.collector.logs import Logs
from hpcdl.collector.reading import Files, Reading, Run

NAME = ".hpcdl-index.sqlite"
SCHEMA = "CREATE TABLE readings (run BLOB PRIMARY KEY, mark TEXT NOT NULL, reading TEXT NOT NULL, epochs TEXT NOT NULL)"
"""The epochs lie apart: few tables ask for them, and they are most of what is known of a run."""
BUSY_S = 10.0
"""How long another collector is waited for, in seconds."""
RECENT_S = 3.0
"""A file that was modified so lately, in seconds, may change once more without a change of its time."""
BATCH = 1000
"""Readings that are written at a time."""
WORTH_RUNS = 100
WORTH_BYTES = 50 << 20
"""Fewer are read faster than anyone would miss an index."""

Warn = Callable[[str], None]


class Index:
    """The readings of the runs in one folder."""

    def __init__(self, folder: Path, dialects: Iterable[Path | str], warn: Warn, epochs: bool = True) -> None:
        """Open the index of a folder, or make one.

        Args:
            folder: holds the runs; the index lies there, or in the user's cache folder where it cannot be written.
            dialects: YAML files of the user's own patterns; with others a run reads differently.
            warn: is called with one sentence when the index is damaged or of no use.
            epochs: give the epochs of each run, too (Row.history).
        """
        self._warn = warn
        self._epochs = epochs
        self._reader = _digest(_code(), *(Path(path).read_bytes() for path in dialects))
        self._known: dict[bytes, Kept] = {}
        self._new: dict[bytes, Kept] = {}
        self._found: set[bytes] = set()
        self._damage_told = False
        self._path: Path | None = None
        for path in (folder / NAME, _cache_folder() / f"{_digest(os.fsencode(folder.resolve()))}.sqlite"):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._known = self._open(path)
            except (OSError, sqlite3.OperationalError):
                continue  # not writable, locked for long, a file system without locks
            self._path = path
            return
        warn(f"{folder}: no index can be kept there or in {_cache_folder()}; every run is read")

    def get(self, run: Run, files: Files) -> Reading | None:
        """Return what the run gave when its files were as they are now; None where that is not known."""
        self._found.add(_name(run))
        kept = self._known.get(_name(run))
        if kept is None or kept.mark != self._mark(run, files):
            return None
        try:
            return kept.unpacked()
        except (ValueError, TypeError, KeyError):
            self._tell_damage()
            return None

    def put(self, run: Run, files: Files, reading: Reading) -> None:
        """Note what the run gave, where that depends on its files alone.

        Args:
            files: their state before the run was read.
        """
        from hpcdl.collector.runfolder import is_settled  # what has just read a run

        if not all(is_settled(row) for row in reading.rows) or files.newest_ns > (time.time() - RECENT_S) * 1e9:
            return
        self._new[_name(run)] = Kept.packed(self._mark(run, files), reading)
        if len(self._new) >= BATCH:
            self.save()

    def save(self) -> None:
        """Write what is new, and forget the runs that are gone.

        Of a run that another collector noted meanwhile the later reading stays.
        """
        gone = [run for run in self._known if run not in self._found and not os.path.lexists(run)]
        if self._path is None or not (self._new or gone):
            return
        try:
            try:
                self._write(self._path, gone)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._make_anew(self._path)
                self._write(self._path, gone)
        except (OSError, sqlite3.Error) as error:
            self._warn(f"{self._path}: the index cannot be written ({error}); the next collect reads these runs again")
            self._path = None
        self._known |= self._new
        self._new = {}
        for run in gone:
            del self._known[run]

    def _mark(self, run: Run, files: Files) -> str:
        named = f"{run.name}/{run.job_id}" if isinstance(run, Logs) else ""
        return _digest(self._reader.encode(), os.fsencode(named), os.fsencode(files.mark))

    def _open(self, path: Path) -> dict[bytes, Kept]:
        """Return all readings; a file that is no index of ours is made anew."""
        try:
            return _load(path, self._epochs)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._make_anew(path)
            return _load(path, self._epochs)

    def _make_anew(self, path: Path) -> None:
        self._tell_damage(path)
        for suffix in ("", "-journal", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _tell_damage(self, path: Path | None = None) -> None:
        if not self._damage_told:
            self._warn(f"{path or self._path}: the index is damaged; it is made anew, and the runs are read again")
        self._damage_told = True

    def _write(self, path: Path, gone: list[bytes]) -> None:
        with _connected(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            _check(connection)
            connection.executemany("DELETE FROM readings WHERE run = ?", [(run,) for run in gone])
            rows = [(run, *kept) for run, kept in self._new.items()]
            connection.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")


class Indexes:
    """The indexes of all folders that are collected, each for the runs below its own."""

    def __init__(
        self,
        paths: Iterable[Path],
        runs: Sequence[Run],
        files: Sequence[Files | None],
        dialects: Sequence[Path | str],
        warn: Warn,
        epochs: bool = True,
    ) -> None:
        """Open the indexes that are there, and make one where it is worth it: many runs, or large ones.

        Args:
            paths: what is collected. The index of a folder lies in it, that of a run folder beside it; a file has none.
            runs: what was found there.
            files: their state.
            dialects: YAML files of the user's own patterns.
            warn: is called with one sentence for an index that is damaged or of no use.
            epochs: give the epochs of each run, too (Row.history).
        """
        folders = {_home(path) for path in paths}
        self._of_run: dict[bytes, Index] = {}
        below: dict[Path, list[tuple[Run, Files]]] = {}
        for run, at in zip(runs, files, strict=True):
            folder = at and next((folder for folder in _path(run).parents if folder in folders), None)
            if at and folder:
                below.setdefault(folder, []).append((run, at))
        for folder, found in below.items():
            large = len(found) >= WORTH_RUNS or sum(at.size for _, at in found) >= WORTH_BYTES
            if large or (folder / NAME).exists():
                index = Index(folder, dialects, warn, epochs)
                self._of_run |= {_name(run): index for run, _ in found}

    def get(self, run: Run, files: Files) -> Reading | None:
        """Return what the run gave when its files were as they are now; None where that is not known."""
        index = self._of_run.get(_name(run))
        return index.get(run, files) if index else None

    def put(self, run: Run, files: Files, reading: Reading) -> None:
        """Note what the run gave."""
        if index := self._of_run.get(_name(run)):
            index.put(run, files, reading)

    def save(self) -> None:
        """Write what is new."""
        for index in {id(index): index for index in self._of_run.values()}.values():
            index.save()


def _home(path: Path) -> Path | None:
    try:
        return path.parent if is_run(os.listdir(path)) else path
    except OSError:
        return None  # a file, or a folder in which nothing can be found


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to the file; what is not committed at the end is as if it had never been."""
    for needed in (path, path.parent):
        if needed.exists() and not os.access(needed, os.W_OK):
            raise PermissionError(errno.EACCES, "not writable", str(needed))
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        yield connection
    finally:
        connection.close()


def _load(path: Path, epochs: bool) -> dict[bytes, Kept]:
    """Return all readings in the file, with their epochs or without; a new file gets its table."""
    columns = "run, mark, reading, epochs" if epochs else "run, mark, reading, ''"
    with _connected(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        _check(connection)
        known = {run: Kept(*kept) for run, *kept in connection.execute(f"SELECT {columns} FROM readings")}
        connection.execute("COMMIT")
    return known


def _check(connection: sqlite3.Connection) -> None:
    """Make the table where there is nothing yet.

    Raises:
        sqlite3.DatabaseError: the file holds something else.
    """
    found = connection.execute("SELECT sql FROM sqlite_master WHERE type != 'index'").fetchall()
    if not found:
        connection.execute(SCHEMA)
    elif found != [(SCHEMA,)]:
        raise sqlite3.DatabaseError("another schema")


def _path(run: Run) -> Path:
    return run.files[0] if isinstance(run, Logs) else run


def _name(run: Run) -> bytes:
    return os.fsencode(_path(run))


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpcdl" / "index"


def _digest(*parts: bytes) -> str:
    """Return a digest that tells apart how the bytes are divided, too."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(b"%d:" % len(part))
        whole.update(part)
    return whole.hexdigest()


@cache
def _code() -> bytes:
    """Return what tells this version of hpcdl from others: another one may read the same files differently."""
    here = Path(__file__).parent
    sources = sorted([*here.parent.glob("*.py"), *here.rglob("*.py")])
    return _digest(__version__.encode(), *(source.read_bytes() for source in sources)).encode()
