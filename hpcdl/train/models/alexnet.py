"""AlexNet."""

from typing import Any

from keras import layers

from hpcdl.train.models.normalization import LocalResponseNormalization
from hpcdl.values import Fraction, Positive


def alexnet(input_shape: tuple[int, int, int], groups: Positive = 2, dropout: Fraction = 0.5) -> tuple[Any, Any]:
    """Five convolutions with response normalisation and two dense layers of 4096.

    The paper writes 224x224; its 55x55 maps need 227x227.

    Args:
        input_shape: (height, width, channels), at least 67x67.
        groups: of the second, fourth and fifth convolution. 2 as in the paper, whose maps lay on two GPUs: 60,965,224
            parameters with 1000 classes. 1 lets all maps see each other: 62,378,344.
        dropout: after each dense layer.

    Source: A. Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012.
    """
    he = {"activation": "relu", "kernel_initializer": "he_normal"}
    images = layers.Input(input_shape)
    x = layers.Conv2D(96, 11, 4, **he)(images)
    x = LocalResponseNormalization()(x)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Conv2D(256, 5, padding="same", groups=groups, **he)(x)
    x = LocalResponseNormalization()(x)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Conv2D(384, 3, padding="same", **he)(x)
    x = layers.Conv2D(384, 3, padding="same", groups=groups, **he)(x)
    x = layers.Conv2D(256, 3, padding="same", groups=groups, **he)(x)
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4096, **he)(x)
        x = layers.Dropout(dropout)(x)
    return images, x
