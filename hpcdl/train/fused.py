"""Keras's Adam, AdamW and SGD with one kernel of TensorFlow for each variable's step.

Keras 3 writes a step as a dozen operations, each of which reads and writes memory; the kernels that Keras 2 used do it
in one pass. The formulas are the same (tensorflow/core/ops/training_ops.cc), the last bit of a weight may differ.
"""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.join import Joining


class _FusedAdam(Joining):
    """update_step of Adam as one operation."""

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        learning_rate = self.rate_of(variable, learning_rate)
        if self.amsgrad or variable.dtype != "float32":
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
            return
        index = self._get_variable_index(variable)
        step = tf.cast(self.steps_of(variable), tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )


class Adam(_FusedAdam, keras.optimizers.Adam):
    """keras.optimizers.Adam in one pass over the memory."""


class AdamW(_FusedAdam, keras.optimizers.AdamW):
    """keras.optimizers.AdamW in one pass over the memory."""


class SGD(Joining, keras.optimizers.SGD):
    """keras.optimizers.SGD in one pass over the memory."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        learning_rate = self.rate_of(variable, learning_rate)
        if not self.momentum or variable.dtype != "float32":
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=_handle(variable),
            accum=_handle(self.momentums[self._get_variable_index(variable)]),
            lr=tf.cast(learning_rate, tf.float32),
            grad=tf.cast(gradient, tf.float32),
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


def _handle(variable: Any) -> Any:
    """The resource of a variable; Keras's TensorFlow optimizer hands over its own variables unwrapped."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
