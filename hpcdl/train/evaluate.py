"""Evaluation over all ranks: every image counts exactly once, and the numbers do not depend on the number of ranks."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.train.data.dataset import Inputs
from hpcdl.train.feed import read_ahead
from hpcdl.train.world import world

BATCH = 500
"""Images in a batch of an evaluation: the same for every number of ranks, since a product of matrices may round
differently for another batch."""


def evaluate(
    model: Callable[..., Any], inputs: Inputs, targets: np.ndarray, top5: bool = False, mirrored: bool = False
) -> dict[str, float]:
    """Return the metrics of a model over all inputs. Collective.

    The inputs are cut into batches before they are dealt to the ranks, and the batches' sums are added in the order of
    the batches: the result is the same to the last bit for every number of ranks.

    Args:
        model: takes float32 inputs, images as 0..1, and `training`; gives probabilities of shape (batch, num_classes),
            or numbers. A Keras model, or a function.
        inputs: all inputs on every rank; images uint8, shape (num_images, height, width, channels).
        targets: classes, int64 of shape (num_images,), or the numbers of a regression, float.
        top5: whether to count the inputs whose class is among the five most probable.
        mirrored: whether to count the images whose class is the most probable in the mean over an image and its mirror
            image.
    Returns:
        For classes `loss` (mean cross-entropy), `accuracy` and, when asked for, `top5_accuracy` and
        `mirrored_accuracy`; for a regression `loss` (mean squared error) and `mae` (mean absolute error).
    """
    us = world()
    sums = {}
    mine = range(us.rank, -(-len(inputs) // BATCH), us.size)
    parts = (slice(index * BATCH, (index + 1) * BATCH) for index in mine)
    for index, part in zip(mine, read_ahead(inputs, parts), strict=True):
        sums[index] = _batch_sums(model, part.rows, targets[part.index], top5, mirrored)
    everyone = {index: row for theirs in us.allgather(sums) for index, row in theirs.items()}
    ordered = [everyone[index] for index in sorted(everyone)]
    total = {name: float(np.sum([row[name] for row in ordered], axis=0)) for name in ordered[0]}
    count = total.pop("count")
    assert count == len(inputs), (count, len(inputs))
    return {name: value / count for name, value in total.items()}


def _batch_sums(
    model: Callable[..., Any], inputs: np.ndarray, targets: np.ndarray, top5: bool, mirrored: bool
) -> dict[str, float]:
    """Return the sums of each metric over one batch, and the `count` of inputs."""
    missing = BATCH - len(inputs)  # one shape for all batches: no second trace, no other rounding
    inputs_there, targets_there = (
        tf.constant(np.pad(array, ((0, missing), *((0, 0) for _ in array.shape[1:])))) for array in (inputs, targets)
    )
    values = _score(model, inputs_there, targets_there, top5, mirrored)
    sums = {name: float(np.array(value, np.float64)[: len(inputs)].sum()) for name, value in values.items()}
    return sums | {"count": len(inputs)}


@tf.function(reduce_retracing=True)
def _score(model: Callable[..., Any], inputs: Any, targets: Any, top5: bool, mirrored: bool) -> dict[str, Any]:
    """Return the metrics of each input, shape (batch,)."""
    outputs = tf.cast(model(scale_pixels(inputs), training=False), tf.float32)
    if targets.dtype.is_floating:
        targets = tf.reshape(tf.cast(targets, tf.float32), tf.shape(outputs))
        return {
            "loss": tf.reduce_mean(tf.square(outputs - targets), axis=-1),
            "mae": tf.reduce_mean(tf.abs(outputs - targets), axis=-1),
        }
    scores = {
        "loss": keras.losses.sparse_categorical_crossentropy(targets, outputs),
        "accuracy": tf.cast(tf.argmax(outputs, axis=-1) == targets, tf.float32),
    }
    if top5:
        scores["top5_accuracy"] = tf.cast(tf.math.in_top_k(targets, outputs, 5), tf.float32)
    if mirrored:
        both = outputs + tf.cast(model(scale_pixels(tf.reverse(inputs, [2])), training=False), tf.float32)
        scores["mirrored_accuracy"] = tf.cast(tf.argmax(both, axis=-1) == targets, tf.float32)
    return scores


def scale_pixels(inputs: Any) -> Any:
    """Return images 0..255 as float32 0..1, in the lecture's way; signals stay as they are, as float32.

    Args:
        inputs: images, shape (batch, height, width, channels), or signals, shape (batch, length, channels).
    """
    inputs = tf.cast(inputs, tf.float32)
    return inputs / 255.0 if len(inputs.shape) == 4 else inputs
