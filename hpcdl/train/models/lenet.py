"""LeNet-5."""

from typing import Any

from keras import layers

from hpcdl.train.models.arguments import Activation

SIDE = 32
"""The network looks at 32x32 pixels; smaller images, such as MNIST's 28x28, get a border of zeros as in the paper."""


def lenet5(input_shape: tuple[int, int, int], activation: Activation = "tanh") -> tuple[Any, Any]:
    """Two convolutions 5x5 with average pooling, and dense layers of 120 and 84.

    Pooling has no parameters here (in 1998 it had two for each map), and each map of the second convolution sees all
    maps of the first (then a chosen part of them): 61,706 parameters in all, where the paper counts 60,000.

    Source: Y. LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.
    """
    images = layers.Input(input_shape)
    border = [(max(0, SIDE - side) // 2, (max(0, SIDE - side) + 1) // 2) for side in input_shape[:2]]
    x = layers.ZeroPadding2D(border)(images) if any(map(any, border)) else images
    x = layers.Conv2D(6, 5, activation=activation)(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(16, 5, activation=activation)(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(120, activation=activation)(x)
    return images, layers.Dense(84, activation=activation)(x)
