"""From paths to runs: which files belong together, by their names."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from stat import S_ISDIR

from hpcdl import runlog
from hpcdl.collector.logs import Logs
from hpcdl.collector.opening import STDIN
from hpcdl.errors import CollectError
from hpcdl.run.folder import JOB_FILE
from hpcdl.run.record import ARRAY_FILE, RECORD_FILE

Warn = Callable[[str], None]

PATTERN_TIMEOUT_S = 0.5

MARKS = (RECORD_FILE, runlog.METRICS_FILE, JOB_FILE)
"""The files that make a folder a run of ours; one of them is enough."""

# Names of the two streams of one job; the job's id where the name holds one. {}_out.1234, {}.o1234, {}-1234.out, ...
JOB_ID = r"(?P<job_id>\d+(?:[_-]\d+|\[\d+\])?)"
NAMES = [
    re.compile(pattern)
    for pattern in (
        rf"(?P<name>.+?)[._-](?P<stream>out|err|stdout|stderr|output|error)[._-]{JOB_ID}(?:\.(?:log|txt|out|err))?",
        rf"(?P<name>.+)\.(?P<stream>[oe]){JOB_ID}",
        rf"(?:(?P<name>.*?)[._-])?{JOB_ID}[._-](?P<stream>out|err|stdout|stderr|output|error)(?:\.(?:log|txt))?",
        r"(?P<name>.+?)[._-](?P<stream>out|err|stdout|stderr|output|error)(?:\.(?:log|txt))?",
        r"(?P<stream>stdout|stderr|out|err|output|error)(?P<name>)(?:\.(?:log|txt))?",
        r"(?P<name>.*?)[._-](?P<job_id>(?!20\d{6}\b)\d{5,}(?:_\d+)?)\.(?:log|txt)(?P<stream>)",
    )
]
LOG_NAME = re.compile(
    r"(?i).*(?:\.(?:out|err|log|txt|stdout|stderr|output|error)|[._-](?:out|err|stdout|stderr|output|error|log)[._-]?\d*[\d._\-\[\]]*"
    r"|\.[oe]\d+[\d._\-\[\]]*|^(?:stdout|stderr|out|err|log))"
)
COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|zst|zstd)$")
RANK_FOLDER = re.compile(r"rank\.(\d+)")


def find_runs(paths: Sequence[Path], warn: Warn, pattern: str | None = None) -> Iterator[Path | Logs]:
    """Yield what was found under `paths`, each once: run folders of hpcdl's own as their path, logs of others as Logs.

    Args:
        paths: files, folders, globs that the shell left alone, `-` for standard input.
        warn: is called with one sentence for each path that gives nothing.
        pattern: a regular expression for file names instead of the known ones: the group `run` names the run, `stream`
            (out or err), `job_id` may be there; files that it does not match are left out.

    Raises:
        CollectError: the pattern is none, or has no group `run`.
    """
    name_of = _names(pattern, warn)
    seen: set[tuple[int, int]] = set()
    groups: dict[tuple[Path, str], Logs] = {}
    for path in _globbed(paths):
        found = False
        for item in _walk(path, warn):
            try:
                status = item.stat() if str(item) != STDIN else None
            except OSError as error:
                warn(f"{item}: cannot be read ({error.strerror})")
                continue
            found = True
            if status:
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            if status and S_ISDIR(status.st_mode):
                yield item
                continue
            named = name_of(item)
            if named is None:
                continue
            name, stream, job_id = named
            logs = groups.setdefault((_home(item), name), Logs(name, job_id=job_id))
            logs.files.insert(_place(logs, stream), item)
        if not found and path.is_dir():
            warn(f"{path}: no run and no log in it")
    yield from groups.values()


def is_run(files: Collection[str]) -> bool:
    """Tell by the names of its files whether a folder is a run of hpcdl's own; an array's is none, but holds some."""
    return ARRAY_FILE not in files and any(mark in files for mark in MARKS)


def _place(logs: Logs, stream: str) -> int:
    return len(logs.files) if stream.startswith("e") or stream == "stderr" else 0


def _home(path: Path) -> Path:
    return path.parent.parent if RANK_FOLDER.fullmatch(path.parent.name) else path.parent


def _globbed(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists() and any(mark in str(path) for mark in "*?["):
            base = Path(path.anchor) if path.anchor else Path()
            matches = sorted(base.glob(str(path.relative_to(path.anchor) if path.anchor else path)))
            yield from matches or [path]
        else:
            yield path


def _walk(path: Path, warn: Warn) -> Iterator[Path]:
    """Yield run folders and logs at and below `path`, by name; links to folders are not followed: none loops."""

    def failed(error: OSError) -> None:
        warn(f"{error.filename}: cannot be read ({error.strerror})")

    if str(path) == STDIN or not path.is_dir():
        yield path
        return
    for folder, below, files in os.walk(path, onerror=failed):
        below[:] = sorted(name for name in below if not name.startswith("."))
        here = Path(folder)
        if is_run(files):
            below.clear()
            yield here
            continue
        if here != path and not below and not files:
            warn(f"{here}: empty folder, no run in it")
        for name in sorted(files):
            if LOG_NAME.fullmatch(COMPRESSED.sub("", name)) and not name.startswith(".") and (here / name).is_file():
                yield here / name


Named = tuple[str, str, str | None]


def _names(pattern: str | None, warn: Warn) -> Callable[[Path], Named | None]:
    """Return the function that tells name, stream and job id of a file."""
    if pattern is None:
        return _known_name
    import regex

    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise CollectError(f"--pattern {pattern!r}: no regular expression ({error}).") from None
    if "run" not in compiled.groupindex:
        raise CollectError(f"--pattern {pattern!r}: no group for the run's name; write one as (?P<run>...).")

    def by_pattern(path: Path) -> Named | None:
        try:
            match = compiled.search(path.name, timeout=PATTERN_TIMEOUT_S)
        except TimeoutError:
            warn(f"{path}: --pattern took over {PATTERN_TIMEOUT_S:g} s on its name; left out")
            return None
        if not match or match["run"] is None:
            return None
        groups = match.groupdict()
        return match["run"], groups.get("stream") or "", groups.get("job_id")

    return by_pattern


def _known_name(path: Path) -> Named:
    if str(path) == STDIN:
        return "stdin", "", None
    name = COMPRESSED.sub("", path.name)
    if RANK_FOLDER.fullmatch(path.parent.name):
        return path.parent.parent.name or name, name, None
    for pattern in NAMES:
        if match := pattern.fullmatch(name):
            job_id = match.groupdict().get("job_id")
            stem = match["name"] or ("" if job_id else path.parent.name)
            run = "-".join(part for part in (stem, job_id) if part) or name
            return run, match["stream"] or "", job_id and re.sub(r"-(?=\d+$)", "_", job_id)
    return re.sub(r"\.(?:log|txt)$", "", name) or name, "", None
