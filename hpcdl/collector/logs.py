"""From the files of a run that no one prepared to rows: one, or several where jobs were appended to the same files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpcdl.collector.frames import Frame, frames
from hpcdl.collector.opening import ERRORS, open_log
from hpcdl.collector.outcome import judge
from hpcdl.collector.readers import Reader
from hpcdl.collector.row import Row
from hpcdl.collector.story import FileReader, Found, Story

Warn = Callable[[str], None]


@dataclass
class Logs:
    """The files of one run that no one prepared for us."""

    name: str
    files: list[Path] = field(default_factory=list)
    """Standard output before standard error."""
    job_id: str | None = None
    """As the names tell."""


def read_logs(logs: Logs, warn: Warn, more: Callable[[], Sequence[Reader]] = tuple) -> list[Row]:
    """Return the rows of the jobs whose logs these are; none where nothing could be read.

    Args:
        more: makes the user's own readers, fresh for each file.
    """
    stories = [Story()]
    read = [path for path in logs.files if _read(path, stories, warn, more)]
    if not read:
        return []
    rows = []
    for number, story in enumerate(stories, start=1):
        row = Row(logs.name if len(stories) == 1 else f"{logs.name}#{number}", files=[str(path) for path in read])
        story.fill(row)
        judge(row, story)
        row.job_id = row.job_id or logs.job_id
        rows.append(row)
    return rows


def look(
    path: Path, stories: list[Story], more: Callable[[], Sequence[Reader]] = tuple
) -> Iterator[tuple[Frame, Found]]:
    """Read one file into `stories`, one for each job in it; yield each frame with the events found in it.

    Raises:
        ERRORS: the file cannot be read, at the start or from some point on; what came before stands.
    """
    reader = FileReader(more())
    current = 0
    for story in stories:
        story.open(str(path))
    with open_log(path) as stream:
        for frame in frames(stream):
            found = reader.events(frame.text)
            if found and stories[current].begins_anew(found):
                current += 1
                if current == len(stories):
                    stories.append(Story())
                    stories[current].open(str(path))
            stories[current].take(found, frame)
            yield frame, found


def _read(path: Path, stories: list[Story], warn: Warn, more: Callable[[], Sequence[Reader]]) -> bool:
    """Read one file; tell whether there was anything to read."""
    some = False
    try:
        for _ in look(path, stories, more):
            some = True
    except ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        warn(f"{path}: cannot be read{' to its end' if some else ''} ({reason})")
        return some
    if not some:
        warn(f"{path}: empty")
    return True
