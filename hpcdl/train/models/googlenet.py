"""GoogLeNet, also called Inception v1."""

from typing import Any

from keras import layers

from hpcdl.train.models.normalization import LocalResponseNormalization
from hpcdl.values import Fraction

INCEPTIONS = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
"""Table 1 of the paper, modules 3a to 5b: maps of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and after the pooling."""


def googlenet(input_shape: tuple[int, int, int], dropout: Fraction = 0.4) -> tuple[Any, Any]:
    """Nine inception modules, 22 layers deep; without the two auxiliary classifiers that only training would use.

    Args:
        input_shape: (height, width, channels), at least 32x32.
        dropout: before the last layer.

    Source: C. Szegedy et al., Going Deeper with Convolutions, https://arxiv.org/abs/1409.4842.
    """
    images = layers.Input(input_shape)
    x = _convolution(images, 64, 7, strides=2)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = LocalResponseNormalization()(x)
    x = _convolution(x, 64, 1)
    x = _convolution(x, 192, 3)
    x = LocalResponseNormalization()(x)
    for modules in INCEPTIONS:
        x = layers.MaxPooling2D(3, 2, padding="same")(x)
        for maps in modules:
            x = _inception(x, *maps)
    x = layers.GlobalAveragePooling2D()(x)
    return images, layers.Dropout(dropout)(x)


def _inception(x: Any, one: int, reduce_3: int, three: int, reduce_5: int, five: int, pooled: int) -> Any:
    pool = layers.MaxPooling2D(3, 1, padding="same")(x)
    branches = [
        _convolution(x, one, 1),
        _convolution(_convolution(x, reduce_3, 1), three, 3),
        _convolution(_convolution(x, reduce_5, 1), five, 5),
        _convolution(pool, pooled, 1),
    ]
    return layers.Concatenate()(branches)


def _convolution(x: Any, maps: int, size: int, strides: int = 1) -> Any:
    return layers.Conv2D(maps, size, strides, padding="same", activation="relu", kernel_initializer="he_normal")(x)
