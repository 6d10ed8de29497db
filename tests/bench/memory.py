"""How much memory a rank takes, and how that and the start-up grow with the data and with the model."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import table
from trainings import Task, Trained, by_hpcdl, by_keras, by_torch, make_data, with_torch

TITLE = "Memory and start-up, by data and by model"
SHAPE = (32, 32, 3)
IMAGES = (10_000, 40_000, 160_000)
BATCH = 64
LEAST = 20 * BATCH
"""Images for the first 20 steps."""
NETWORKS = ("resnet20_cifar", "mnist_cnn", "resnet50")
OURS, KERAS, DDP = "hpcdl, each of 2 ranks", "Keras `fit`, 1 process", "PyTorch DDP, each of 2 ranks"


def measure(quick: bool) -> dict[str, Any]:
    """Train once with each size of the data, on a small network, and once with each network, on little data."""
    with tempfile.TemporaryDirectory() as name:
        by_data = {}
        for number in (LEAST,) if quick else IMAGES:
            data = make_data(Path(name, "data.npz"), SHAPE, number)
            by_data[str(number)] = _train(Task("mlp", data, BATCH, 2, with_memory=True))
        data = make_data(Path(name, "data.npz"), SHAPE, LEAST)
        networks = () if quick else NETWORKS
        by_model = {network: _train(Task(network, data, BATCH, 2, with_memory=True)) for network in networks}
    return {"by_data": by_data, "by_model": by_model}


def _train(task: Task) -> dict[str, Trained]:
    sides: dict[str, Callable[[], Trained]] = {
        OURS: partial(by_hpcdl, task, 2),
        KERAS: partial(by_keras, task),
        **with_torch({DDP: partial(by_torch, task, 2)}),
    }
    return {name: side() for name, side in sides.items()}


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    text = ""
    for key, what in (("by_data", "images (32x32x3)"), ("by_model", "network (parameters)")):
        rows = []
        for value, sides in found[key].items():
            for name, at in sides.items():
                label = f"{int(value):,}" if key == "by_data" else f"{value} ({at['parameters']:,})"
                rows.append([label, name, f"{at['memory_mb']:,.0f}", f"{at['first_steps_s']:.1f}"])
        text += table([what, "", "MB", "seconds to the first 20 steps"], rows) + "\n" if rows else ""
    return (
        f"{text}The most that one rank held (proportional set size: a page that n processes share counts to each as "
        "1/n), n = 1. The images are bytes in one .npz file; the network of the upper table is the small `mlp`.\n"
    )


def plot(found: dict[str, Any], axes: Any) -> None:
    """Draw memory over the number of images."""
    for name in (OURS, KERAS, DDP):
        at = {int(number): sides[name]["memory_mb"] for number, sides in found["by_data"].items() if name in sides}
        if at:
            axes.plot([*at], [*at.values()], "o-", label=name.replace("`", ""))
    axes.set(xlabel="images of 32x32x3", ylabel="MB of one rank", xscale="log")
    axes.legend()
