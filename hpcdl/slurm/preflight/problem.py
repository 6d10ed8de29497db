"""One thing that would go wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What would go wrong, and the remedy.

    Attributes:
        subject: what it is about: "script", "site", "place", "data", "environment" or "slurm".
        what: what is wrong and what would happen, one sentence.
        remedy: what to do, one sentence.
        stops: whether the job cannot work as it is; otherwise it is only likely to be a mistake.
        line: the script's line, or None.
    """

    subject: str
    what: str
    remedy: str
    stops: bool = True
    line: int | None = None
