"""Images per second: the lecture's network by hpcdl, Keras and PyTorch, beside the processor's own matrix rate."""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import in_turns, ratios, spread, table
from processes import run
from trainings import PEERS, Trained, by_hpcdl, by_keras, by_torch, check_same, figures, lecture_task, with_torch

TITLE = "Images per second, the lecture's network"
MFLOP_PER_IMAGE = 38.4
"""One training step costs 6 operations for each of the network's 6.522 million multiply-adds (forward, and backward for
inputs and weights), without the gradient of the images, which nobody needs."""
OURS = ("hpcdl, 1 process x 2 threads", "hpcdl, 2 ranks x 1 thread")
KERAS, KERAS_BF16 = "Keras `fit`, float32, 1 x 2", "Keras `fit`, mixed_bfloat16, 1 x 2"
TORCH, DDP = "PyTorch, bfloat16, 1 x 2", "PyTorch DDP, bfloat16, 2 x 1"
COMPARED = {OURS[0]: (KERAS, KERAS_BF16, TORCH), OURS[1]: (KERAS, KERAS_BF16, DDP)}
"""Each of ours with those it is measured against, on the same number of processes where they have it."""


ROUNDS = 4


def measure(quick: bool) -> dict[str, Any]:
    """Train a few epochs by each in turns."""
    with tempfile.TemporaryDirectory() as name:
        task = lecture_task(Path(name), quick)
        sides: dict[str, Callable[[], Trained]] = {
            OURS[0]: partial(by_hpcdl, task, 1),
            OURS[1]: partial(by_hpcdl, task, 2),
            KERAS: partial(by_keras, task),
            KERAS_BF16: partial(by_keras, task, "mixed_bfloat16"),
            **with_torch({TORCH: partial(by_torch, task, 1), DDP: partial(by_torch, task, 2)}),
            "matrix": _matrix_rate,
        }
        found = in_turns(sides, 1 if quick else ROUNDS)
    matrix = figures(found.pop("matrix"))
    check_same(found)
    return {"matrix_gflop_per_s": matrix, "batch": task.batch, "trained": found}


def _matrix_rate() -> Trained:
    rate = json.loads(run([sys.executable, str(PEERS / "matrix_rate.py")]).output.splitlines()[-1])
    return {"images_per_s": rate["gflop_per_s"]}


def ratio(found: dict[str, Any], ours: str, peer: str) -> tuple[float, float, float]:
    """Return how many times as fast as a peer one of ours was: median, least and greatest of the rounds."""
    return ratios(figures(found["trained"][ours]), figures(found["trained"][peer]))


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    trained, rates = found["trained"], found["matrix_gflop_per_s"]
    rows = []
    for name, each in trained.items():
        part = statistics.median(figures(each)) * MFLOP_PER_IMAGE / 1000 / statistics.median(rates)
        rows.append([name, len(each), spread(figures(each)), f"{part:.0%}", spread(figures(each, "first_steps_s"), 1)])
    text = table(["", "n", "images/s", "of the matrix rate", "seconds to the first 20 steps"], rows)
    text += (
        f"\nThe processor's own bfloat16 matrix product here: {spread(rates)} GFLOP/s on the same cores; an image costs"
    )
    text += f" {MFLOP_PER_IMAGE} MFLOP. {found['batch']} images a step over all ranks, Adam, the median epoch after the"
    text += " first.\n\n"
    rows = [
        [ours, peer, "{:.2f} ({:.2f} to {:.2f})".format(*ratio(found, ours, peer))]
        for ours, peers in COMPARED.items()
        for peer in peers
        if peer in trained
    ]
    return text + table(["", "beside", "times as fast, by rounds"], rows) + absent_torch(trained)


def absent_torch(trained: dict[str, Any]) -> str:
    """Return a sentence where PyTorch was not measured."""
    return "" if any("PyTorch" in name for name in trained) else "\nPyTorch was not installed for this run.\n"


def plot(found: dict[str, Any], axes: Any) -> None:
    """Draw the images per second of each."""
    bars(axes, {name: figures(each) for name, each in found["trained"].items()}, "images/s")


def bars(axes: Any, numbers: dict[str, list[float]], unit: str) -> None:
    """Draw a bar for each median, ours coloured, with a line from the least to the greatest."""
    names = [name.replace("`", "") for name in reversed(numbers)]
    middles = [statistics.median(each) for each in reversed(numbers.values())]
    below = [middle - min(each) for middle, each in zip(middles, reversed(numbers.values()), strict=True)]
    above = [max(each) - middle for middle, each in zip(middles, reversed(numbers.values()), strict=True)]
    colours = ["tab:blue" if name.startswith("hpcdl") else "tab:gray" for name in names]
    axes.barh(names, middles, xerr=[below, above], color=colours, ecolor="black", capsize=3)
    axes.set(xlabel=unit)
