"""One run's logs read through: its events weighed into a row."""

from collections.abc import Iterable
from dataclasses import dataclass

from hpcdl.collector.events import Fact, Sign
from hpcdl.collector.frames import Frame
from hpcdl.collector.readers import Reader, readers
from hpcdl.collector.row import Evidence, Row
from hpcdl.collector.training import Training

FIELDS = ("job_id", "job", "scheduler", "framework", "ranks", "time_s")
MOST_SIGNS = 500


@dataclass
class Seen:
    """A sign, where it stood, and what had been seen of the training by then."""

    sign: Sign
    evidence: Evidence
    file: int
    order: int
    """Number of the frame over all files."""


class Story:
    """What the logs of one run tell, taken in frame by frame."""

    def __init__(self) -> None:
        self.training = Training()
        self.facts: dict[str, str | int | float] = {}
        self.signs: dict[tuple[str, str, str], Seen] = {}
        self.progress: dict[int, int] = {}
        """The order of the last event that shows training going on, by file."""
        self.order = 0
        self.lines: dict[int, int] = {}
        self._file = -1
        self._name = ""
        self._readers: list[Reader] = []
        self._rank: int | None = None
        self._ranks: set[int] = set()

    def open(self, name: str) -> None:
        """Go on with the next file of the run."""
        self._file += 1
        self._name = name
        self._readers = readers()

    def read(self, frames: Iterable[Frame]) -> None:
        """Take in frames of the file that is open."""
        for frame in frames:
            self.see(frame)

    def see(self, frame: Frame) -> list[tuple[str, object]]:
        """Take in one frame; return the events found in it, each with its reader's name."""
        self.order += 1
        self.lines[self._file] = frame.line
        text = frame.text
        for name, triggers, read in self._readers:
            for trigger in triggers:
                if trigger in text:
                    events = read(text)
                    break
            else:
                continue
            if events:
                for event in events:
                    self._take(event, frame)
                return [(name, event) for event in events]
        return []

    def _take(self, event: object, frame: Frame) -> None:
        if isinstance(event, Sign):
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
        elif self._is_leading(frame.rank) and self.training.see(event):  # type: ignore[arg-type]
            self.progress[self._file] = self.order

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
        self.training.fill(row)
        for name in FIELDS:
            if name in self.facts:
                setattr(row, name, self.facts[name])
        if row.ranks is None and len(self._ranks) > 1:
            row.ranks = max(self._ranks) + 1
        for name, value in self.facts.items():
            if name not in FIELDS and isinstance(value, int | float):
                row.metrics[name] = value
