"""Evaluation over all ranks: every image counts exactly once, and the numbers do not depend on the number of ranks."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.train.data.dataset import Inputs
from hpcdl.train.world import world

BATCH = 500
"""Images in a batch of an evaluation: the same for every number of ranks, since a product of matrices may round
differently for another batch."""


def evaluate(model: keras.Model, images: Inputs, labels: np.ndarray) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy of a classifier. Collective.

    The images are cut into batches before they are dealt to the ranks, and the batches' sums are added in the order of
    the batches: the result is the same to the last bit for every number of ranks.

    Args:
        model: takes float32 images 0..1, gives probabilities of shape (batch, num_classes).
        images: uint8, shape (num_images, height, width, channels), all images on every rank.
        labels: int64, shape (num_images,).
    """
    us = world()
    sums = {}
    for index in range(us.rank, -(-len(images) // BATCH), us.size):
        part = slice(index * BATCH, (index + 1) * BATCH)
        sums[index] = _batch_sums(model, np.asarray(images[part]), labels[part])
    everyone = {index: row for theirs in us.allgather(sums) for index, row in theirs.items()}
    loss, correct, count = np.sum([everyone[index] for index in sorted(everyone)], axis=0)
    assert count == len(images), (count, len(images))
    return float(loss / count), float(correct / count)


def _batch_sums(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return float64 (sum of losses, number of right predictions, number of images) of one batch."""
    missing = BATCH - len(images)  # one shape for all batches: no second trace, no other rounding
    padded = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
    losses, predicted = _predict(model, tf.constant(padded), tf.constant(np.pad(labels, (0, missing))))
    losses, predicted = np.array(losses, np.float64)[: len(images)], np.array(predicted)[: len(images)]
    return np.array([losses.sum(), (predicted == labels).sum(), len(images)])


@tf.function(reduce_retracing=True)
def _predict(model: keras.Model, images: Any, labels: Any) -> tuple[Any, Any]:
    probabilities = tf.cast(model(scale_pixels(images), training=False), tf.float32)
    return keras.losses.sparse_categorical_crossentropy(labels, probabilities), tf.argmax(probabilities, axis=-1)


def scale_pixels(images: Any) -> Any:
    """Return images 0..255 as float32 0..1, in the lecture's way."""
    return tf.cast(images, tf.float32) / 255.0
