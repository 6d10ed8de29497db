"""Readers: one file per dialect.

A reader looks at one clean line of text (frames.Frame.text) and returns the events in it, an empty list where it has
nothing to say. It never raises on any text. Most are a module with

- TRIGGERS: a line that holds none of these texts is not shown to it (a cheap test before regular expressions);
- read(text) -> list of events, which depends on the line alone.

Those that must remember (an open traceback, a table's header) are a function `reader()`, which makes a fresh pair of
triggers and `read` for every file.
"""

from collections.abc import Callable

from hpcdl.collector.events import Event
from hpcdl.collector.readers import (
    benchmarks,
    errors,
    keras,
    lsf,
    mllog,
    pbs,
    prints,
    python,
    slurm,
    tables,
    trainers,
)

Read = Callable[[str], list[Event]]
Reader = tuple[str, tuple[str, ...], Read]
"""Name, triggers, and the function."""


def readers() -> list[Reader]:
    """Return fresh readers for one file. Of those that describe training, the first that finds something holds."""
    stateful = [("python", *python.reader()), ("benchmarks", *benchmarks.reader()), ("trainers", *trainers.reader())]
    stateful.append(("tables", *tables.reader()))
    lines = (slurm, pbs, lsf, mllog, keras)
    return [
        stateful[0],
        *((module.__name__.rpartition(".")[2], module.TRIGGERS, module.read) for module in lines),
        *stateful[1:],
        ("errors", errors.TRIGGERS, errors.read),
        ("prints", prints.TRIGGERS, prints.read),
    ]
