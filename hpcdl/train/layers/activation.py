"""Keras's ReLU and GELU, and a sum with the ReLU behind it, in one pass over the memory (hpcdl/train/kernels)."""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.kernels import operations
from hpcdl.train.layers.stand_in import stands_in_for

ACTIVATIONS = {"relu": keras.activations.relu, "gelu": keras.activations.gelu}


def kind_of(layer: Any) -> str | None:
    """Return relu or gelu for one of Keras's own layers that is that and nothing else, None for any other."""
    if type(layer) is keras.layers.ReLU:
        return None if layer.max_value is not None or layer.negative_slope or layer.threshold else "relu"
    if type(layer) is keras.layers.Activation:
        return next((kind for kind, function in ACTIVATIONS.items() if layer.activation is function), None)
    return None


def activated(x: Any, kind: str) -> Any:
    """Return x, max(x, 0) or x times the normal distribution at x, for the kind linear, relu or gelu."""
    if kind == "linear":
        return x
    if operations.available() and x.dtype in operations.DTYPES:
        return operations.relu(x) if kind == "relu" else operations.gelu(x)
    return ACTIVATIONS[kind](x)


class _Activates:
    kind = "linear"
    """What the layer does: relu, gelu, or nothing where the one before it does it too."""

    def call(self, inputs: Any) -> Any:
        return activated(inputs, self.kind)


@stands_in_for(keras.layers.ReLU)
class FusedReLU(_Activates, keras.layers.ReLU):
    """keras.layers.ReLU without its further arguments."""


@stands_in_for(keras.layers.Activation)
class FusedActivation(_Activates, keras.layers.Activation):
    """keras.layers.Activation("relu") or ("gelu")."""


STAND_INS: dict[type[Any], type[Any]] = {keras.layers.ReLU: FusedReLU, keras.layers.Activation: FusedActivation}
"""By the layer of Keras that they stand in for, where `kind_of` knows it."""


@stands_in_for(keras.layers.Add)
class FusedAdd(keras.layers.Add):
    """keras.layers.Add of two tensors of one shape, and the ReLU behind it."""

    def call(self, inputs: Any) -> Any:
        one, other = inputs
        if operations.available() and one.dtype == other.dtype and one.dtype in operations.DTYPES:
            return operations.add_relu(one, other)
        return tf.nn.relu(super().call(inputs))
