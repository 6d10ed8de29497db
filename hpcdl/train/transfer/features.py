"""The features of all inputs, computed once by all ranks together and kept in the run's folder."""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.errors import DataError
from hpcdl.files import write_atomically
from hpcdl.train.data import Dataset
from hpcdl.train.data.dataset import Inputs
from hpcdl.train.evaluate import BATCH, scale_pixels
from hpcdl.train.feed import read_ahead
from hpcdl.train.node import share_data
from hpcdl.train.world import DiskError, Stopped, World

FOLDER = "features"
"""In the run's folder. It goes when the run has ended well."""
BATCHES_IN_FILE = 20
"""Batches of the evaluation in one file, 10,000 inputs: no file depends on the number of ranks."""


def cached_features(
    us: World, body: keras.Model, data: Dataset, folder: Path, signal_name: Callable[[], str | None]
) -> Dataset:
    """Return a data set with the features of the inputs in their place. Collective.

    The ranks share the work, file by file. A run that goes on computes only what is not there yet. The features do not
    depend on the number of ranks, to the last bit.

    Args:
        body: the network below the last layer, in inference mode.
        data: the inputs, images or signals.
        folder: the run's.
        signal_name: returns the signal that has asked this rank to stop, None without one.
    Returns:
        Inputs float32 of shape (num_inputs, num_features), one copy on each node.
    Raises:
        WorldError: on all ranks: an input cannot be read, or the features cannot be written.
        Stopped: on all ranks: one of them got a signal.
    """
    place = folder / FOLDER / _key(body, data)
    files = list(_files(place, data))
    failure: DataError | DiskError | None = None
    try:
        place.mkdir(parents=True, exist_ok=True)
        for path, inputs, rows in files[us.rank :: us.size]:
            if not path.exists() and not signal_name():
                write_atomically(path, _as_file(_compute(body, inputs, rows)))
    except DataError as error:
        failure = error
    except OSError as fault:
        failure = DiskError(f"{place}: the features cannot be written ({fault.strerror}).")
    us.first_failure(failure)
    if asked := next((name for name in us.allgather(signal_name()) if name), None):
        raise Stopped(f"{asked} stopped the run while it computed features; it goes on with those that are there.")

    def load() -> Dataset:
        try:
            parts = {path.name: np.load(path) for path, _, _ in files}
        except (OSError, ValueError) as fault:
            raise DataError(
                f"{place}: the features cannot be read ({fault}). Delete this folder, then resume."
            ) from None
        train, test = (
            np.concatenate([part for name, part in parts.items() if name.startswith(half)]) for half in HALVES
        )
        return replace(data, train_inputs=train, test_inputs=test)

    return share_data(us, load)


HALVES = ("train", "test")


def _files(place: Path, data: Dataset) -> Iterator[tuple[Path, Inputs, slice]]:
    """Yield each file, the inputs whose features it holds, and which rows of them."""
    rows = BATCHES_IN_FILE * BATCH
    for half, inputs in zip(HALVES, (data.train_inputs, data.test_inputs), strict=True):
        for number, start in enumerate(range(0, len(inputs), rows)):
            yield place / f"{half}-{number:05}.npy", inputs, slice(start, min(start + rows, len(inputs)))


def _compute(body: keras.Model, inputs: Inputs, rows: slice) -> np.ndarray:
    parts = (slice(start, min(start + BATCH, rows.stop)) for start in range(rows.start, rows.stop, BATCH))
    features = []
    for part in read_ahead(inputs, parts):
        missing = BATCH - len(part.rows)  # one shape for all batches: no second trace, no other rounding
        padded = np.pad(np.asarray(part.rows), ((0, missing), *((0, 0) for _ in inputs.shape[1:])))
        features.append(_infer(body, tf.constant(padded)).numpy()[: len(part.rows)])
    return np.concatenate(features)


@tf.function(reduce_retracing=True, autograph=False)
def _infer(body: keras.Model, inputs: Any) -> Any:
    return tf.cast(body(scale_pixels(inputs), training=False), tf.float32)


def _key(body: keras.Model, data: Dataset) -> str:
    """A name for the features of these inputs, by these weights in this arithmetic."""
    digest = hashlib.sha256(f"{data.digest} {body.outputs[0].dtype} {keras.config.dtype_policy().name}".encode())
    for weight in body.weights:
        digest.update(np.ascontiguousarray(weight.value).tobytes())
    return digest.hexdigest()[:16]


def _as_file(features: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, features)
    return content.getvalue()
