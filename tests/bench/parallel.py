"""What training together costs: two ranks with allreduce beside two that each train alone."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import in_turns, ratios, spread, table
from trainings import Trained, by_hpcdl, by_hpcdl_apart, figures, lecture_task

TITLE = "What data-parallelism costs"
TOGETHER, APART = "2 ranks with allreduce", "2 programs at once, each alone"

ROUNDS = 4


def measure(quick: bool) -> dict[str, Any]:
    """Train the lecture's network together and apart, in turns."""
    with tempfile.TemporaryDirectory() as name:
        task = lecture_task(Path(name), quick)
        sides: dict[str, Callable[[], Trained]] = {
            f"hpcdl, {TOGETHER}": partial(by_hpcdl, task, 2),
            f"hpcdl, {APART}": partial(by_hpcdl_apart, task, 2),
        }
        return {"trained": in_turns(sides, 1 if quick else ROUNDS)}


def kept(found: dict[str, Any]) -> tuple[float, float, float]:
    """Return the part of the speed that is left with allreduce: median, least and greatest of the rounds."""
    together, apart = (figures(found["trained"][f"hpcdl, {how}"]) for how in (TOGETHER, APART))
    return ratios(together, apart)


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    rows = [[name, len(each), spread(figures(each))] for name, each in found["trained"].items()]
    text = table(["", "n", "images/s in all"], rows)
    text += "\nWith allreduce {:.3f} ({:.3f} to {:.3f}) of the speed is left. Each rank has one core".format(
        *kept(found)
    )
    return text + " and 64 images a step; the two programs share the machine's memory and caches too.\n"


plot = None
