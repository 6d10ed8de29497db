"""VGG-16 and VGG-19."""

from typing import Any

from keras import layers

from hpcdl.values import Fraction

CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions of the five stages, by the number of layers that have weights."""


def vgg(
    input_shape: tuple[int, int, int], depth: int, batch_normalization: bool = False, dropout: Fraction = 0.5
) -> tuple[Any, Any]:
    """Five stages of 3x3 convolutions, each ending in max-pooling, and two dense layers of 4096.

    The network of keras.applications, with the dropout of the paper and He's initialisation, without which a net as
    deep as this does not begin to learn.

    Args:
        input_shape: (height, width, channels), at least 32x32.
        depth: 16 or 19.
        batch_normalization: between convolution and activation; not in the paper.
        dropout: after each dense layer.

    Source: K. Simonyan and A. Zisserman, https://arxiv.org/abs/1409.1556, configurations D and E.
    """
    images = x = layers.Input(input_shape)
    for stage, convolutions in enumerate(CONVOLUTIONS[depth]):
        for _ in range(convolutions):
            x = layers.Conv2D(min(64 * 2**stage, 512), 3, padding="same", kernel_initializer="he_normal")(x)
            if batch_normalization:
                x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4096, activation="relu", kernel_initializer="he_normal")(x)
        x = layers.Dropout(dropout)(x)
    return images, x
