"""The weights that a transfer begins with: from a run, a checkpoint, a `.keras` file or a file of weights alone."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpcdl.errors import JobFileError
from hpcdl.train.data.weights import find_weights
from hpcdl.train.horovod import HorovodModel
from hpcdl.train.trained import load_trained
from hpcdl.train.transfer.parts import Parts, cut
from hpcdl.transfer import WEIGHTS_ALONE, Transfer

KEY = "train.transfer.weights"


@dataclass(frozen=True)
class Taken:
    """What a model has got from where."""

    path: Path
    sha256: str
    """Of the file."""
    new_head: bool
    """Whether the last layer begins with random weights."""


def take_weights(model: HorovodModel, transfer: Transfer, seed: int) -> Taken:
    """Give a model the weights that its job names.

    The layers of two networks are matched by their order and shapes, not by their names, which count on from network
    to network: `conv2d_3` of one process is `conv2d` of another.

    Args:
        seed: the job's; a last layer that begins anew depends on it and on the weights.
    Raises:
        HpcdlError: they are not there, cannot be read, or are those of another network.
    """
    path, parts = find_weights(transfer.weights), model.stages.parts
    head = [weight for layer in parts.head for weight in getattr(layer, "weights", ())]
    if path.name.endswith(WEIGHTS_ALONE):
        _load_file(parts.body, path)
        values: list[np.ndarray] = []
    else:
        trained = load_trained(path)
        path, theirs = trained.path, cut(trained.model)
        copy_weights(theirs.body, parts.body, path)
        values = [weight.numpy() for layer in theirs.head for weight in getattr(layer, "weights", ())]
    fits = [value.shape for value in values] == [tuple(weight.shape) for weight in head]
    if transfer.head == "keep" and not fits:
        there = f"{values[-1].shape[-1]} outputs, not {head[-1].shape[-1]}" if values else "no last layer"
        raise JobFileError(f"train.transfer.head: {path} has {there}, so that it cannot be kept. Take head: new.")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    keep = fits and transfer.head != "new"
    if keep:
        for weight, value in zip(head, values, strict=True):
            weight.assign(value)
    else:
        _draw_anew(parts, seed)
    return Taken(path, sha256, not keep)


def _draw_anew(parts: Parts, seed: int) -> None:
    """Draw the kernels of the last layer from a seed that the source's training cannot have had.

    Two jobs with one seed and one network begin with the same last layer, and the source's features are fitted to
    that: taken for other classes, it begins worse than chance.
    """
    digest = hashlib.sha256(str(seed).encode())
    for weight in parts.body.weights:
        digest.update(np.ascontiguousarray(weight.value).tobytes())
    for layer in parts.head:
        initializer = getattr(layer, "kernel_initializer", None)
        if initializer is not None:
            config = {**initializer.get_config(), "seed": int(digest.hexdigest()[:8], 16)}
            layer.kernel.assign(type(initializer).from_config(config)(layer.kernel.shape))


def copy_weights(theirs: keras.Model, ours: keras.Model, path: Path) -> None:
    """Copy all weights of one network into another of the same form, by their order.

    Args:
        path: where `theirs` is from, for the errors.
    Raises:
        JobFileError: the form differs; names the first layer that does.
    """
    pairs = list(zip(_weights(theirs), _weights(ours), strict=False))
    for (their_name, value), (name, weight) in pairs:
        if value.shape != weight.shape:
            raise JobFileError(
                f"{KEY}: {path} is of another network than train.model: the weights of its layer {their_name} have the "
                f"shape {tuple(value.shape)}, where {name} has {tuple(weight.shape)}. Name the network that it was."
            )
    count, mine = len(theirs.weights), len(ours.weights)
    if count != mine:
        raise JobFileError(
            f"{KEY}: {path} is of another network than train.model: it has {count} arrays of weights below the last "
            f"layer, not {mine}. Name the network that it was."
        )
    for (_, value), (_, weight) in pairs:
        weight.assign(value)


def _weights(model: keras.Model) -> list[tuple[str, Any]]:
    return [(weight.path, weight) for weight in model.weights]


def _load_file(body: keras.Model, path: Path) -> None:
    try:
        body.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError) as fault:
        what = " ".join(str(fault).split())
        raise JobFileError(
            f"{KEY}: {path} does not hold the weights of {body.name} without its last layer ({what[:300]}). Take the "
            "file of this network, of keras.applications the one called notop."
        ) from None
