"""`hpcdl collect --explain`: what was recognised in a log, line by line, and what was not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from hpcdl.collector.columns import harmless
from hpcdl.collector.events import Event
from hpcdl.collector.logs import look
from hpcdl.collector.opening import ERRORS
from hpcdl.collector.outcome import judge
from hpcdl.collector.readers import Reader
from hpcdl.collector.row import Row
from hpcdl.collector.story import Story
from hpcdl.errors import CollectError

WIDEST = 150


def explained(path: Path, more: Callable[[], Sequence[Reader]] = tuple) -> Iterator[str]:
    """Yield lines for people: each line of the log that was recognised, by which reader, as what; how many were not.

    Raises:
        CollectError: the log cannot be read.
    """
    stories = [Story()]
    passed = 0
    try:
        for frame, found in look(path, stories, more):
            if not found:
                passed += 1
                continue
            if passed:
                yield f"        ({passed} line{'s' * (passed > 1)} not recognised)"
                passed = 0
            yield f"{frame.line:7d} {harmless(frame.text)[:WIDEST]}"
            for name, event in found:
                yield f"        -> {name}: {harmless(_told(event))}"
    except ERRORS as error:
        raise CollectError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if passed:
        yield f"        ({passed} line{'s' * (passed > 1)} not recognised)"
    for number, story in enumerate(stories, start=1):
        row = Row(f"{path.name}#{number}" if len(stories) > 1 else path.name)
        story.fill(row)
        judge(row, story)
        yield ""
        for name, value in row.as_dict().items():
            if value not in (None, []):
                yield f"{name}: {harmless(str(value))}"
        yield from (f"note: {harmless(note)}" for note in row.notes)


def _told(event: Event) -> str:
    values = ", ".join(
        f"{item.name}={getattr(event, item.name)!r}"
        for item in fields(event)
        if getattr(event, item.name) not in (None, "")
    )
    return f"{type(event).__name__} {values}"
