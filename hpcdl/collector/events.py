"""What a reader can find in a line of a log."""

from dataclasses import dataclass, field


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
    """scheduler, application, consequence (follows from another error), warning, success."""
    cause: str
    """One sentence for the table."""
    text: str = field(default="")
    """The line, where it is not the one being read (a traceback's)."""


Event = EpochStart | EpochEnd | FullBar | Progress | Values | Tested | Listed | Rate | Fact | Sign
