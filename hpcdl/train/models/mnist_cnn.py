"""The lecture's network for MNIST."""

from typing import Any

from keras import layers

from hpcdl.errors import JobFileError
from hpcdl.values import Positive

GROWTH = 2.5
"""Filters of a block over those of the block before it: the lecture's 20 and 50."""


def mnist_cnn(
    input_shape: tuple[int, int, int],
    blocks: Positive = 2,
    filters: Positive = 20,
    kernel_size: Positive = 5,
    dense: Positive = 500,
) -> tuple[Any, Any]:
    """Convolutions with pooling and a dense layer; as it stands the lecture's two convolutions and 500 units.

    The lecture has each ReLU before its pooling; here it comes after, on a quarter of the values. The largest of some
    numbers and ReLU commute: the outputs and the gradients are the same, bit by bit.

    Args:
        input_shape: (height, width, channels); (28, 28, 1) for MNIST. Each block halves height and width.
        blocks: convolutions, each with its pooling.
        filters: of the first block; each further one has 2.5 times as many, rounded.
        kernel_size: height and width of all kernels, in pixels.
        dense: units of the dense layer.
    Returns:
        The input, 0..1, and `dense` features.
    Raises:
        JobFileError: the images are too small for so many blocks.
    """
    smallest = min(input_shape[:2])
    if smallest < 2**blocks:
        raise JobFileError(
            f"train.model: {blocks} blocks halve the images {blocks} times, and {smallest} pixels are gone before; "
            f"at most {smallest.bit_length() - 1} blocks."
        )
    images = x = layers.Input(input_shape)
    for block in range(blocks):
        x = layers.Conv2D(round(filters * GROWTH**block), kernel_size, padding="same")(x)
        x = layers.ReLU()(layers.MaxPooling2D(2, 2)(x))
    x = layers.Flatten()(x)
    return images, layers.Dense(dense, activation="relu")(x)
