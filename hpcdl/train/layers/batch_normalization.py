"""Keras's batch normalisation with one kernel of TensorFlow for its pass over the memory.

Keras 3 casts to float32 and writes mean, variance and the scaling as operations of their own, each of which reads and
writes the whole activation. FusedBatchNorm, which Keras 2 used, takes bfloat16 as it is and sums in float32. The
formulas are the same.
"""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.layers.stand_in import stands_in_for

DTYPES = (tf.float32, tf.bfloat16)
"""Activations that the kernel takes on a CPU and on a GPU; there it takes float16 too, which the CPU does not."""
LEAST_EPSILON = 1.001e-5
"""cuDNN takes no smaller one."""


@stands_in_for(keras.layers.BatchNormalization)
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """keras.layers.BatchNormalization; where the kernel cannot do what is asked for, Keras's own code does."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        gpu = bool(tf.config.get_visible_devices("GPU"))
        fits = len(inputs.shape) == 4 and self.axis in (-1, 3) and inputs.dtype in DTYPES
        fits = fits and not (gpu and self.epsilon < LEAST_EPSILON)
        if not fits or mask is not None or self.renorm or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        of_batch, channels = bool(training and self.trainable), inputs.shape[-1]
        nothing = tf.constant([], tf.float32)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value if self.scale else tf.ones(channels),
            offset=self.beta.value if self.center else tf.zeros(channels),
            mean=nothing if of_batch else self.moving_mean.value,
            variance=nothing if of_batch else self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=of_batch,
        )
        if of_batch:
            values = tf.cast(tf.size(inputs) // channels, tf.float32)
            variance *= (values - 1) / values  # the kernel gives that of the population, Keras keeps that of the batch
            self.moving_mean.assign(self.momentum * self.moving_mean + (1 - self.momentum) * mean)
            self.moving_variance.assign(self.momentum * self.moving_variance + (1 - self.momentum) * variance)
        return outputs
