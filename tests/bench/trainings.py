"""One training of the same network on the same data by hpcdl, by Keras's `fit` or by PyTorch, and what it took."""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch_environment
from processes import Ended, Failed, finish, run, start

from hpcdl.run.local import mpirun_environment
from hpcdl.runlog import METRICS_FILE, read_events

PEERS = Path(__file__).parent / "peers"
Trained = dict[str, Any]
"""What a training took, as JSON can hold it:

images_per_s: over all ranks, by the median of the epochs after the first, in which frameworks trace and plan;
first_steps_s: from the start of the program to the end of the first 20 steps, None where an epoch has fewer;
memory_mb: the most that one rank held, None where it was not measured;
parameters, version."""


@dataclass(frozen=True)
class Task:
    """What is trained."""

    network: str
    """hpcdl's name for it."""
    data: Path
    """A .npz archive with x_train (uint8, channels last), y_train, x_test and y_test."""
    batch: int
    """Images of a step over all ranks."""
    epochs: int = 3
    optimizer: str = "adam"
    """adam, or sgd with momentum."""
    with_memory: bool = False


def make_data(path: Path, shape: tuple[int, int, int], images: int, classes: int = 10) -> Path:
    """Write an archive of random images and labels: speed and memory do not depend on what they show."""
    random = np.random.default_rng(1)
    arrays = {}
    for part, number in (("train", images), ("test", min(256, images // 10))):
        arrays[f"x_{part}"] = random.integers(0, 256, (number, *shape), np.uint8)
        arrays[f"y_{part}"] = np.arange(number) % classes
    np.savez(path, **arrays)
    return path


def lecture_task(folder: Path, quick: bool) -> Task:
    """Return the lecture's network on random images, 128 a step, with its data in a folder."""
    data = make_data(folder / "data.npz", (28, 28, 1), 2560 if quick else 12800)
    return Task("mnist_cnn", data, batch=128, epochs=2 if quick else 3)


def by_hpcdl(task: Task, ranks: int) -> Trained:
    """Train by `hpcdl run`, with the precision that it chooses for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        ended = run(_hpcdl(task, ranks, Path(folder)), mpirun_environment(ranks), task.with_memory)
        return _of_run(Path(folder), ended)


def by_hpcdl_apart(task: Task, ranks: int) -> Trained:
    """Train so many times at once, each on one rank and core with its part of the batch: ranks without allreduce."""
    with tempfile.TemporaryDirectory() as name:
        alone = Task(task.network, task.data, task.batch // ranks, task.epochs, task.optimizer)
        folders = [Path(name, str(rank)) for rank in range(ranks)]
        started = [start(_hpcdl(alone, 1, folder), core=rank) for rank, folder in enumerate(folders)]
        each = [_of_run(folder, finish(one)) for folder, one in zip(folders, started, strict=True)]
    return {**each[0], "images_per_s": sum(one["images_per_s"] for one in each)}


def by_keras(task: Task, policy: str = "float32") -> Trained:
    """Train by `fit` in one process on all cores."""
    command = [sys.executable, PEERS / "keras_fit.py", task.network, task.data, task.batch, task.epochs, task.optimizer]
    return _of_peer(run([*map(str, command), policy], with_memory=task.with_memory))


def by_torch(task: Task, ranks: int) -> Trained:
    """Train in PyTorch, with DDP on more than one rank; once more if it fails: one of some ten runs aborted."""
    words = [PEERS / "torch_fit.py", task.network, task.data, task.batch, task.epochs, task.optimizer]
    command = [*_torchrun(ranks), *map(str, words)]
    try:
        return _of_peer(run(command, with_memory=task.with_memory))
    except Failed:
        return _of_peer(run(command, with_memory=task.with_memory))


def with_torch(sides: dict[str, Callable[[], Trained]]) -> dict[str, Callable[[], Trained]]:
    """Return the sides that need PyTorch, none where it is not installed."""
    return sides if torch_environment.python() else {}


def figures(trained: list[Trained], key: str = "images_per_s") -> list[float]:
    """Return one figure of each round."""
    return [one[key] for one in trained]


def check_same(trained: dict[str, list[Trained]]) -> None:
    """Check that the peers, whose programs count trained weights alike, trained networks of the same size.

    Raises:
        RuntimeError: they did not.
    """
    counts = {name: each[0]["parameters"] for name, each in trained.items() if not name.startswith("hpcdl")}
    if len(set(counts.values())) > 1:
        raise RuntimeError(f"the networks are not the same: {counts}")


def _hpcdl(task: Task, ranks: int, folder: Path) -> list[str]:
    optimizer = "{name: adam}" if task.optimizer == "adam" else "{name: sgd, learning_rate: 0.01, momentum: 0.9}"
    folder.mkdir(exist_ok=True)
    (folder / "job.yaml").write_text(
        f"name: bench\nresources: {{nodes: 1, ranks_per_node: {ranks}, time: '01:00:00'}}\ntrain:\n"
        f"  model: {task.network}\n  data: {{name: npz, path: {task.data}}}\n  epochs: {task.epochs}\n"
        f"  batch_size: {task.batch // ranks}\n  optimizer: {optimizer}\n  precision: auto\n"
    )
    return [sys.executable, "-m", "hpcdl", "run", str(folder / "job.yaml"), "--runs", str(folder / "runs")]


def _of_run(folder: Path, ended: Ended) -> Trained:
    """Read what hpcdl wrote; an epoch is timed from its begin to its metrics over all ranks, without the save."""
    (file,) = folder.glob(f"runs/*/{METRICS_FILE}")
    events, _ = read_events(file.read_text().splitlines())
    by_kind = {kind: [e for e in events if e["event"] == kind] for kind in ("run_start", "progress", "epoch")}
    began, first = by_kind["run_start"][0], by_kind["progress"][0]
    images = began["steps_per_epoch"] * began["global_batch_size"]
    return {
        "images_per_s": round(images / statistics.median(e["epoch_s"] for e in by_kind["epoch"][1:]), 1),
        "first_steps_s": round(first["time"] - ended.began, 3),
        "memory_mb": max(ended.memory_mb, default=None),
        "parameters": began["parameters"],
        "precision": began["precision"],
    }


def _of_peer(ended: Ended) -> Trained:
    said = json.loads(next(line for line in reversed(ended.output.splitlines()) if line.startswith("{")))
    return {
        "images_per_s": round(said["images"] / statistics.median(said["epoch_s"][1:]), 1),
        "first_steps_s": said["first_steps_s"] and round(said["first_steps_s"], 3),
        "memory_mb": max(ended.memory_mb, default=None),
        "parameters": said["parameters"],
        "version": said["version"],
    }


def _torchrun(ranks: int) -> list[str]:
    python = torch_environment.python()
    assert python
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [str(python), *(launcher if ranks > 1 else [])]


os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[2]))  # the peers share hpcdl's networks
