"""One run's logs read through: its events weighed into a row."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpcdl.collector import result
from hpcdl.collector.events import LEVELS, EpochEnd, EpochStart, Event, Fact, Progress, Sign
from hpcdl.collector.frames import Frame
from hpcdl.collector.readers import Reader, readers
from hpcdl.collector.row import Evidence, Row
from hpcdl.collector.training import Training

FIELDS = ("job_id", "job", "scheduler", "framework", "ranks", "time_s")
MOST_SIGNS = 500
MOST = 10**9
LONGEST = 4096
"""Characters of a line that are read: more is data."""


@dataclass
class Seen:
    """A sign, where it stood, and what had been seen of the training by then."""

    sign: Sign
    evidence: Evidence
    file: int
    order: int
    """Number of the frame over all files."""


Found = list[tuple[str, Event]]
"""Events of one frame, each with its reader's name."""


class FileReader:
    """The readers, at work on one file."""

    def __init__(self, more: Sequence[Reader] = ()) -> None:
        self._readers = [*more, *readers()]

    def events(self, text: str) -> Found:
        """Return the events in a line. The first reader that finds more than a fact holds."""
        found: Found = []
        text = text[:LONGEST]
        for name, triggers, read in self._readers:
            for trigger in triggers:
                if trigger in text:
                    break
            else:
                continue
            events = read(text)
            found += [(name, event) for event in events]
            if events and not all(isinstance(event, Fact) for event in events):
                break
        return found


class Story:
    """What the logs of one run tell, taken in frame by frame."""

    def __init__(self) -> None:
        self.training = Training()
        self.facts: dict[str, str | int | float] = {}
        self.signs: dict[tuple[str, str, str], Seen] = {}
        self.progress: dict[int, int] = {}
        """The order of the last event that shows training going on, by file."""
        self.latest: Evidence | None = None
        """Where that event stands, in the file that was read last."""
        self.order = 0
        self.lines: dict[int, int] = {}
        self._file = -1
        self._name = ""
        self.ended = False
        """The scheduler closed the job's log."""
        self._rank: int | None = None
        self._ranks: set[int] = set()

    def open(self, name: str) -> None:
        """Go on with the next file of the run."""
        self._file += 1
        self._name = name

    def take(self, found: Found, frame: Frame) -> None:
        """Take in the events of one frame."""
        self.order += 1
        self.lines[self._file] = frame.line
        for _, event in found:
            self._take(event, frame)

    def begins_anew(self, found: Found) -> bool:
        """Tell whether the events are those of the next job in the same file."""
        if not self.ended:
            return False
        for _, event in found:
            if isinstance(event, Fact) and event.name == "job_id":
                return self._base(event.value) != self._base(self.facts.get("job_id", event.value))
            if isinstance(event, EpochStart | EpochEnd | Progress) and event.epoch is not None:
                # A program goes on printing for a while after it is told to end: only going back is a new start.
                last = self.training.last
                return last is not None and event.epoch < last.number
        return False

    @staticmethod
    def _base(job_id: str | int | float) -> str:
        return str(job_id).partition("_")[0].partition("[")[0]

    def _take(self, event: Event, frame: Frame) -> None:
        if _is_beyond_reason(event):
            return
        if isinstance(event, Sign):
            self.ended = self.ended or event.closes
            assert event.level in LEVELS, event
            key = (event.level, event.code, event.cause[:100])
            self.signs.pop(key, None)
            evidence = Evidence(self._name, frame.line, (event.text or frame.text)[:400])
            self.signs[key] = Seen(event, evidence, self._file, self.order)
            if len(self.signs) > MOST_SIGNS:
                del self.signs[next(iter(self.signs))]
        elif isinstance(event, Fact):
            if event.name == "epochs_planned":
                self.training.planned = self.training.planned or int(event.value)
            elif event.name in FIELDS:
                self.facts.setdefault(event.name, event.value)
            else:
                self.facts[event.name] = event.value
        elif self._is_leading(frame.rank) and self.training.see(event):
            self.progress[self._file] = self.order
            self.latest = Evidence(self._name, frame.line, frame.text[:400])

    def _is_leading(self, rank: int | None) -> bool:
        """Tell whether a rank's training lines count: those of the lowest rank that writes any."""
        if rank is None:
            return True
        self._ranks.add(rank)
        if self._rank is None or rank < self._rank:
            self._rank = rank
        return rank == self._rank

    def fill(self, row: Row) -> None:
        """Write facts and training into the row."""
        result.fill(row, self.training)
        for name in FIELDS:
            if name in self.facts:
                setattr(row, name, self.facts[name])
        if row.ranks is None and len(self._ranks) > 1:
            row.ranks = max(self._ranks) + 1
        for name, value in self.facts.items():
            if name not in FIELDS and isinstance(value, int | float):
                row.metrics[name] = value


def _is_beyond_reason(event: Event) -> bool:
    """Tell whether an event counts beyond all that a log can mean: such a number is something else."""
    if isinstance(event, Fact):
        return isinstance(event.value, int) and not 0 <= event.value <= MOST
    if isinstance(event, EpochStart | EpochEnd | Progress):
        return any(number is not None and not 0 <= number <= MOST for number in (event.epoch, event.epochs))
    return False
