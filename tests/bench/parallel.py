"""What training together costs: two ranks with allreduce beside two that each train alone."""

import dataclasses
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import in_turns, ratios, spread, table
from trainings import Trained, by_hpcdl, by_hpcdl_apart, figures, lecture_task

TITLE = "What data-parallelism costs"
TOGETHER, APART = "2 ranks that share their gradients", "2 programs at once, each alone"
BATCHES = (64, 128)
"""Images of a rank and step, those of jobs/mnist.yaml and of jobs/mnist_fast.yaml."""
ROUNDS = 4


def measure(quick: bool) -> dict[str, Any]:
    """Train the lecture's network together and apart, in turns, batch by batch."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for batch in BATCHES:
            task = dataclasses.replace(lecture_task(Path(name), quick), batch=2 * batch)
            sides: dict[str, Callable[[], Trained]] = {
                TOGETHER: partial(by_hpcdl, task, 2),
                APART: partial(by_hpcdl_apart, task, 2),
            }
            found[str(batch)] = in_turns(sides, 1 if quick else ROUNDS)
    return {"trained": found}


def kept(trained: dict[str, list[Trained]]) -> tuple[float, float, float]:
    """Return the part of the speed that is left together: median, least and greatest of the rounds."""
    return ratios(figures(trained[TOGETHER]), figures(trained[APART]))


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    rows = []
    for batch, trained in found["trained"].items():
        for name, each in trained.items():
            left = "{:.3f} ({:.3f} to {:.3f})".format(*kept(trained)) if name == TOGETHER else ""
            rows.append([batch, name, len(each), spread(figures(each)), left])
    text = table(["images a rank and step", "", "n", "images/s in all", "of the speed apart"], rows)
    return text + "\nEach rank has one core; the two programs share the machine's memory and caches too.\n"


plot = None
