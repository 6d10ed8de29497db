"""Keras's ReLU and GELU, and a sum with the ReLU behind it, in one pass over the memory (hpcdl/train/kernels)."""

from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.kernels import operations
from hpcdl.train.layers.stand_in import stands_in_for

ACTIVATIONS = {"relu": keras.activations.relu, "gelu": keras.activations.gelu}


def activated(x: Any, kind: str) -> Any:
    """Return x, max(x, 0) or x times the normal distribution at x, for the kind linear, relu or gelu."""
    if kind == "linear":
        return x
    if operations.available() and x.dtype in operations.DTYPES:
        return operations.relu(x) if kind == "relu" else operations.gelu(x)
    return ACTIVATIONS[kind](x)


class _Activates:
    kind = "relu"
    """Which of ACTIVATIONS it is."""
    done_before = False
    """Whether the layer before it does it too."""

    def call(self, inputs: Any) -> Any:
        return inputs if self.done_before else activated(inputs, self.kind)


@stands_in_for(keras.layers.ReLU)
class FusedReLU(_Activates, keras.layers.ReLU):
    """keras.layers.ReLU without its further arguments."""


@stands_in_for(keras.layers.Activation)
class FusedActivation(_Activates, keras.layers.Activation):
    """keras.layers.Activation("relu") or ("gelu")."""

    @property
    def kind(self) -> str:  # type: ignore[override]
        return next(kind for kind, function in ACTIVATIONS.items() if self.activation is function)


def stand_in(layer: Any) -> type[Any] | None:
    """Return the class that does what a layer does, None where it is not one of Keras's own that is a ReLU or GELU."""
    if type(layer) is keras.layers.ReLU:
        return None if layer.max_value is not None or layer.negative_slope or layer.threshold else FusedReLU
    if type(layer) is keras.layers.Activation and layer.activation in ACTIVATIONS.values():
        return FusedActivation
    return None


@stands_in_for(keras.layers.Add)
class FusedAdd(keras.layers.Add):
    """keras.layers.Add of two tensors of one shape."""

    rectifies = False
    """Whether it does the ReLU behind it too."""

    def call(self, inputs: Any) -> Any:
        if not self.rectifies:
            return super().call(inputs)
        one, other = inputs
        if operations.available() and one.dtype == other.dtype and one.dtype in operations.DTYPES:
            return operations.add_relu(one, other)
        return tf.nn.relu(super().call(inputs))
