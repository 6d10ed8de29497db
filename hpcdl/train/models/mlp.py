"""A network of dense layers."""

from typing import Any

from keras import layers

from hpcdl.values import Fraction, Positive


def mlp(input_shape: tuple[int, ...], hidden: Positive = 128, dropout: Fraction = 0.2) -> tuple[Any, Any]:
    """One hidden layer: 784-128-10 on MNIST, TensorFlow's first example.

    Args:
        input_shape: any; the input is flattened.
        hidden: units of the hidden layer.
        dropout: after it.
    """
    inputs = layers.Input(input_shape)
    x = layers.Flatten()(inputs)
    x = layers.Dense(hidden, activation="relu", kernel_initializer="he_normal")(x)
    return inputs, layers.Dropout(dropout)(x)
