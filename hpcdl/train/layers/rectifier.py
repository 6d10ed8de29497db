"""Keras's ReLU, and a sum with the ReLU behind it, in one pass over the memory (hpcdl/train/kernels)."""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.kernels import operations
from hpcdl.train.layers.stand_in import stands_in_for


class _Rectifies:
    """A layer that is max(x, 0)."""

    done_before = False
    """Whether the layer before it does it too."""

    def call(self, inputs: Any) -> Any:
        if self.done_before:
            return inputs
        if operations.available() and inputs.dtype in operations.DTYPES:
            return operations.relu(inputs)
        return tf.nn.relu(inputs)


@stands_in_for(keras.layers.ReLU)
class FusedReLU(_Rectifies, keras.layers.ReLU):
    """keras.layers.ReLU without its further arguments."""


@stands_in_for(keras.layers.Activation)
class FusedActivation(_Rectifies, keras.layers.Activation):
    """keras.layers.Activation("relu")."""


RECTIFIERS: dict[type[Any], type[Any]] = {keras.layers.ReLU: FusedReLU, keras.layers.Activation: FusedActivation}
"""By the layer of Keras that they stand in for, where it is a ReLU."""


def is_relu(layer: Any) -> bool:
    """Whether one of Keras's own layers is max(x, 0) and nothing else."""
    if type(layer) is keras.layers.ReLU:
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return type(layer) is keras.layers.Activation and layer.activation is keras.activations.relu


@stands_in_for(keras.layers.Add)
class FusedAdd(keras.layers.Add):
    """keras.layers.Add; of two tensors of one shape, it does the ReLU behind it too if told so."""

    rectifies = False

    def call(self, inputs: Any) -> Any:
        if not self.rectifies:
            return super().call(inputs)
        if operations.available() and inputs[0].dtype == inputs[1].dtype and inputs[0].dtype in operations.DTYPES:
            return operations.add_relu(*inputs)
        return tf.nn.relu(super().call(inputs))
