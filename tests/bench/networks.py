"""Images per second of ResNet-20 on images of CIFAR-10's size and of ResNet-50 on synthetic ones of ImageNet's."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness import in_turns, ratios, spread, table
from speed import absent_torch, bars
from trainings import Task, Trained, by_hpcdl, by_keras, by_torch, check_same, figures, make_data, with_torch

TITLE = "Images per second, residual networks"
OURS, KERAS, DDP = "hpcdl, 2 ranks x 1 thread", "Keras `fit`, float32, 1 x 2", "PyTorch DDP, bfloat16, 2 x 1"


def measure(quick: bool) -> dict[str, Any]:
    """Train a few epochs by each in turns, network by network."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        small = make_data(Path(name, "cifar.npz"), (32, 32, 3), 512 if quick else 3840)
        tasks = {"resnet20_cifar": (Task("resnet20_cifar", small, 128, 2 if quick else 3, "sgd"), 1 if quick else 3)}
        if not quick:
            large = make_data(Path(name, "imagenet.npz"), (224, 224, 3), 64, classes=64)
            tasks["resnet50"] = (Task("resnet50", large, 32, 3, "sgd"), 2)
        for network, (task, rounds) in tasks.items():
            sides: dict[str, Callable[[], Trained]] = {
                OURS: partial(by_hpcdl, task, 2),
                KERAS: partial(by_keras, task),
                **with_torch({DDP: partial(by_torch, task, 2)}),
            }
            found[network] = {"batch": task.batch, "trained": in_turns(sides, rounds)}
            check_same(found[network]["trained"])
    return {"networks": found}


def section(found: dict[str, Any]) -> str:
    """Return what was found in Markdown."""
    rows = []
    for network, measured in found["networks"].items():
        ours = figures(measured["trained"][OURS])
        for name, each in measured["trained"].items():
            ratio = "" if name == OURS else "{:.2f} ({:.2f} to {:.2f})".format(*ratios(ours, figures(each)))
            rows.append([network, name, len(each), measured["batch"], spread(figures(each), 1), ratio])
    text = table(["network", "", "n", "batch", "images/s", "hpcdl is times as fast"], rows)
    return text + absent_torch(found["networks"]["resnet20_cifar"]["trained"])


def plot(found: dict[str, Any], axes: Any) -> None:
    """Draw ResNet-20's images per second."""
    trained = found["networks"]["resnet20_cifar"]["trained"]
    bars(axes, {name: figures(each) for name, each in trained.items()}, "ResNet-20, images/s")
