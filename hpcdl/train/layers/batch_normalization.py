"""Keras's batch normalisation with one kernel for its passes over the memory.

Keras 3 casts to float32 and writes mean, variance and the scaling as operations of their own, each of which reads and
writes the whole activation. Ours (hpcdl/train/kernels) and FusedBatchNorm, which Keras 2 used, take bfloat16 as it is
and sum in float32. The formulas are the same.
"""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.kernels import operations
from hpcdl.train.layers.activation import activated
from hpcdl.train.layers.stand_in import stands_in_for

LEAST_EPSILON = 1.001e-5
"""cuDNN takes no smaller one."""


@stands_in_for(keras.layers.BatchNormalization)
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """keras.layers.BatchNormalization; where the kernels cannot do what is asked for, Keras's own code does."""

    activation = "linear"
    """What it does with its outputs: relu or gelu if it is that layer too which comes after it."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        gpu = bool(tf.config.get_visible_devices("GPU"))
        fits = len(inputs.shape) == 4 and self.axis in (-1, 3) and inputs.dtype in operations.DTYPES
        fits = fits and not (gpu and self.epsilon < LEAST_EPSILON)
        if not fits or mask is not None or self.renorm or self.synchronized:
            outputs = super().call(inputs, training=training, mask=mask)
            return activated(outputs, self.activation)
        channels = inputs.shape[-1]
        scale = self.gamma.value if self.scale else tf.ones(channels)
        offset = self.beta.value if self.center else tf.zeros(channels)
        if not (training and self.trainable):
            mean, variance = self.moving_mean.value, self.moving_variance.value
            outputs, *_ = self._by_tensorflow(inputs, scale, offset, mean, variance, False)
            return activated(outputs, self.activation)
        if operations.available():
            outputs, mean, variance = operations.batch_normalization(
                inputs, scale, offset, self.epsilon, self.activation
            )
        else:
            nothing = tf.constant([], tf.float32)
            outputs, mean, variance = self._by_tensorflow(inputs, scale, offset, nothing, nothing, True)
            outputs = activated(outputs, self.activation)
            values = tf.cast(tf.size(inputs) // channels, tf.float32)
            variance *= (values - 1) / values  # that of the population, Keras keeps that of the batch
        self.moving_mean.assign(self.momentum * self.moving_mean + (1 - self.momentum) * mean)
        self.moving_variance.assign(self.momentum * self.moving_variance + (1 - self.momentum) * variance)
        return outputs

    def _by_tensorflow(self, x: Any, scale: Any, offset: Any, mean: Any, variance: Any, training: bool) -> Any:
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=self.epsilon, is_training=training
        )
        return outputs, mean, variance
