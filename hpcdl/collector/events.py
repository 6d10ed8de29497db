"""What a reader can find in a line of a log."""

from dataclasses import dataclass, field

LEVELS: dict[str, str] = {
    "scheduler": "the scheduler ended the job, or a node did",
    "application": "an error of the program",
    "signal": "a process was killed; which one the line does not always tell",
    "epilogue": "what a site's epilogue says of the end",
    "limit": "the job used all its time: it explains a signal from outside",
    "step": "a step was ended, for whatever reason",
    "consequence": "follows from another error",
    "stall": "explains an end only where the log stops with it",
    "weak": "explains an end only where nothing else does, near the end of the log",
    "echo": "never a cause",
    "warning": "harmless",
    "success": "the scheduler, the launcher or the benchmark says that all went well",
    "word": "the program's own word that it came to its end",
}
"""How signs are weighed, see outcome.judge."""


@dataclass(slots=True)
class EpochStart:
    """A header: from here on epoch `epoch` is trained."""

    epoch: int
    epochs: int | None = None


@dataclass(slots=True)
class EpochEnd:
    """The numbers of a complete epoch."""

    values: dict[str, float]
    epoch: int | None = None
    """As written; None where the line does not tell: then the epoch whose header came last."""
    epochs: int | None = None
    seconds: float | None = None
    """Duration of the epoch."""
    from_zero: bool = False
    """The dialect is known to count epochs from 0; else the numbers tell."""


@dataclass(slots=True)
class FullBar:
    """A Keras bar at its end: an epoch's, or an evaluation's where no epoch is open."""

    values: dict[str, float]
    steps: int | None
    seconds: float | None = None


@dataclass(slots=True)
class Progress:
    """A point inside an epoch, or inside a training that counts steps only."""

    values: dict[str, float]
    step: float | None = None
    steps: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    from_zero: bool = False
    """As in EpochEnd."""


@dataclass(slots=True)
class Values:
    """Named numbers on a line of their own, which belong to whatever is open."""

    values: dict[str, float]


@dataclass(slots=True)
class Tested:
    """Numbers of a test or an evaluation, by name (`loss`, `accuracy`, ...)."""

    values: dict[str, float]


@dataclass(slots=True)
class Listed:
    """A bare list of numbers: exact values of what an evaluation printed rounded."""

    numbers: list[float]


@dataclass(slots=True)
class Rate:
    """Throughput at one point, in images (samples, sentences) per second."""

    per_s: float
    ranks: bool
    """True for all ranks together, False for the rank that wrote it."""
    final: bool = False
    """True where the program says that this is its result."""


@dataclass(slots=True)
class Fact:
    """Something known of the whole run: a field of Row by name."""

    name: str
    value: str | int | float


@dataclass(slots=True)
class Sign:
    """Something that bears on how the run ended."""

    code: str
    """One of row.OUTCOMES."""
    level: str
    """How it is weighed, one of LEVELS."""
    cause: str
    """One sentence for the table."""
    text: str = field(default="")
    """The line, where it is not the one being read (a traceback's)."""
    closes: bool = False
    """The scheduler closes the log of a job with it: what comes after is another's."""


Event = EpochStart | EpochEnd | FullBar | Progress | Values | Tested | Listed | Rate | Fact | Sign
