"""Gradient ascent: an input that a class or a unit likes best."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Regularisation:
    """What keeps the input of a gradient ascent near the inputs that the network knows."""

    decay: float = 0.03
    """Weight of the squared distance from the start (L2; Simonyan et al. 2013)."""
    roughness: float = 0.1
    """Weight of the squared differences between neighbours (total variation with exponent 2; Mahendran and Vedaldi,
    Understanding Deep Image Representations by Inverting Them, 2015, arXiv:1412.0035)."""
    jitter: int = 1
    """Pixels or samples by which the input is moved at random, in all directions, before each step (Mordvintsev,
    Olah and Tyka, Inceptionism, 2015)."""

    @property
    def text(self) -> str:
        """What it is, for the caption of a picture."""
        return f"L2 decay {self.decay:g}, roughness {self.roughness:g}, jitter {self.jitter}"


def ascend(
    scores: keras.Model,
    start: np.ndarray,
    units: Sequence[int],
    regularisation: Regularisation,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    steps: int = 256,
    rate: float = 0.05,
    seed: int = 1,
) -> np.ndarray:
    """Return, for each unit, the input I that maximises S(I) - decay |I - start|^2 - roughness |D I|^2.

    Source: K. Simonyan, A. Vedaldi and A. Zisserman, Deep Inside Convolutional Networks, 2013, arXiv:1312.6034,
    section 2. The steps are Adam's, with a rate that falls to 0 along a line.

    Args:
        scores: a model; S is place `unit` of the last axis of its output, averaged over other axes (the positions of a
            channel). D I are the differences of neighbours in I.
        start: float32, shape (*input_shape): where the ascent begins.
        bounds: the lowest and highest value of an input, None for signals without bounds.
        rate: the first step's length, in the input's own unit.
        seed: of the jitter.
    Returns:
        float32, shape (len(units), *input_shape).
    """
    origin = tf.constant(np.stack([start] * len(units)))
    images = tf.Variable(origin)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.PolynomialDecay(rate, steps, 0.0))
    optimizer.build([images])
    axes = list(range(1, start.ndim))  # height and width, or length
    reach = regularisation.jitter
    shifts = np.random.default_rng(seed).integers(-reach, reach + 1, (steps, len(axes)))

    @tf.function
    def step(shift: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            outputs = tf.cast(scores(tf.roll(images, shift, axes), training=False), tf.float32)
            means = tf.reduce_mean(tf.reshape(outputs, (len(units), -1, outputs.shape[-1])), axis=1)
            penalty = regularisation.decay * tf.reduce_sum(tf.square(images - origin))
            for axis in axes:
                differences = tf.experimental.numpy.diff(images, axis=axis)
                penalty += regularisation.roughness * tf.reduce_sum(tf.square(differences))
            loss = penalty - tf.reduce_sum(tf.gather(means, tf.constant(units), axis=1, batch_dims=1))
        optimizer.apply([tape.gradient(loss, images)], [images])
        if bounds is not None:
            images.assign(tf.clip_by_value(images, *bounds))

    for shift in shifts:
        step(tf.constant(shift, tf.int32))
    return images.numpy()
