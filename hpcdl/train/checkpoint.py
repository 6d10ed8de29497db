"""Checkpoints that survive a crash at any moment, and the saved model.

A checkpoint is one file, `checkpoints/step-STEP-CHECKSUM.npz`: it is written under a temporary name in the same folder,
synced and renamed, and its name holds a checksum of its content. What does not match its name is skipped, aloud.
"""

import hashlib
import io
import json
import math
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpcdl.files import write_atomically
from hpcdl.train.horovod import parameters
from hpcdl.train.world import World, WorldError

FOLDER = "checkpoints"
LATEST_FILE = "latest"
"""Holds the name of the newest checkpoint, for people and other programs."""
BEST_FILE = "best"
"""Holds the name of the checkpoint of the best epoch, where the job says by which metric."""
NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.npz")
INFO = "info"
MODEL_FILE = "model.keras"
BEST_MODEL_FILE = "best.keras"


def best_epoch(history: list[dict[str, float]], metric: str | None) -> int | None:
    """Return the epoch, from 1, whose `metric` was the best: the first of equals. None without metric or epochs.

    Accuracies are best when high, losses and errors when low; what is not finite is never the best.

    Args:
        history: the metrics of each epoch, which has its number as `epoch`.
    """
    sign = 1 if metric and metric.endswith("accuracy") else -1
    known = [epoch for epoch in history if metric and math.isfinite(epoch[metric])]
    return int(max(known, key=lambda epoch: sign * epoch[metric])["epoch"]) if metric and known else None


def save_checkpoint(
    folder: Path, step: int, arrays: dict[str, np.ndarray], info: dict[str, Any], keep: int, best: bool = False
) -> Path:
    """Write a checkpoint and delete all but the newest `keep` and the best; one rank calls it.

    Args:
        folder: the run's folder.
        step: steps done over the whole run.
        arrays: the state, by name.
        info: what else belongs to the state, as JSON can hold it.
        best: whether it is the best so far.
    Raises:
        OSError: the disk is full or the folder cannot be written; older checkpoints are then as they were.
    """
    content = io.BytesIO()
    np.savez(content, **arrays, **{INFO: np.array(json.dumps(info))})  # type: ignore[arg-type]
    data = content.getvalue()
    (folder / FOLDER).mkdir(exist_ok=True)
    path = folder / FOLDER / f"step-{step:09d}-{_checksum(data)}.npz"
    write_atomically(path, data)
    write_atomically(folder / FOLDER / LATEST_FILE, path.name + "\n")
    pointer = folder / FOLDER / BEST_FILE
    if best:
        write_atomically(pointer, path.name + "\n")
    kept = pointer.read_text().strip() if pointer.exists() else None
    for old in _checkpoints(folder)[keep:]:
        if old.name != kept:
            old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return arrays and info (with its `path`) of the newest whole checkpoint of a run, None when there is none.

    One that is torn or altered is skipped for the one before it, with a line on standard error.
    """
    for path in _checkpoints(folder):
        try:
            return read_checkpoint(path)
        except (OSError, ValueError) as fault:
            print(f"warning: {path}: skipped for an older checkpoint ({fault})", file=sys.stderr)
    return None


def read_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays and info (with its `path`) of one checkpoint.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no checkpoint, torn or altered.
    """
    data = path.read_bytes()
    match = NAME.fullmatch(path.name)
    if not match or _checksum(data) != match[2]:
        raise ValueError("its content does not match the checksum in its name")
    with np.load(io.BytesIO(data)) as archive:
        arrays = dict(archive)
    return arrays, json.loads(str(arrays.pop(INFO))) | {"path": str(path)}


def capture(model: keras.Model, us: World) -> dict[str, np.ndarray]:
    """Return the state of a model's training on all ranks, by name. Collective.

    Weights, their average and optimizer state are equal on all ranks and stand once; what a rank has for itself
    (statistics of batch normalisation and their average, the states of its random numbers, its part of the epoch's
    metrics) stands once for each.
    """
    arrays = {f"weight/{i}": v.value.numpy() for i, v in enumerate(parameters(model))}
    arrays |= {f"optimizer/{i}": v.value.numpy() for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"average/{i}": v.value.numpy() for i, v in enumerate(model.average.shared if model.average else [])}
    for rank, own in enumerate(us.allgather([variable.value.numpy() for variable in _own_variables(model)])):
        arrays |= {f"rank{rank}/{i}": value for i, value in enumerate(own)}
    return arrays


def restore(model: keras.Model, us: World, arrays: dict[str, np.ndarray], info: dict[str, Any]) -> None:
    """Put back a state that was captured.

    On another number of ranks all begin from rank 0's statistics, with their own random numbers and empty metrics.

    Args:
        info: what `load_checkpoint` gave with the arrays; its `ranks` are those that wrote it.
    Raises:
        WorldError: the state is that of another model or recipe.
    """
    same = info["ranks"] == us.size
    own = f"rank{us.rank if same else 0}"
    places = {
        "weight": parameters(model),
        "optimizer": model.optimizer.variables,
        "average": model.average.shared if model.average else [],
        own: _own_variables(model),
    }
    variables = {f"{name}/{i}": v for name, listed in places.items() for i, v in enumerate(listed)}
    shapes = {name: value.shape for name, value in arrays.items() if name.split("/")[0] in places}
    if shapes != {name: tuple(variable.shape) for name, variable in variables.items()}:
        raise WorldError(
            f"{info['path']}: this is the state of another model, optimizer or recipe than the job's. "
            "Go on with the job file that began the run, or begin anew in a new folder."
        )
    for name, variable in variables.items():
        if same or not variable.path.endswith("seed_generator_state"):
            variable.assign(arrays[name])
    if not same:
        model.reset_metrics()


def save_model(model: keras.Model, path: Path) -> None:
    """Write a functional model as plain Keras, which loads where hpcdl is not installed. One rank calls it.

    It goes to a temporary name in the same folder, is synced and renamed: Keras itself writes in place.
    """
    plain = keras.Model(model.inputs, model.outputs, name=model.name)
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        with model.stages.unfrozen() if getattr(model, "stages", None) else nullcontext():
            plain.save(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    return sorted((p for p in (folder / FOLDER).glob("step-*.npz") if NAME.fullmatch(p.name)), reverse=True)


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _own_variables(model: keras.Model) -> list[Any]:
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    mine = {id(variable) for variable in [*metrics, *parameters(model)]}
    statistics = [v for v in model.non_trainable_variables if id(v) not in mine]
    return [*statistics, *(model.average.own if model.average else []), *metrics]
