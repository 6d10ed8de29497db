"""The lecture's network for MNIST."""

from typing import Any

from keras import layers


def mnist_cnn(input_shape: tuple[int, int, int]) -> tuple[Any, Any]:
    """Two convolutions with pooling and a dense layer of 500.

    Args:
        input_shape: (height, width, channels); (28, 28, 1) for MNIST.
    Returns:
        The input, 0..1, and 500 features.
    """
    images = layers.Input(input_shape)
    x = layers.Conv2D(20, 5, padding="same", activation="relu")(images)
    x = layers.MaxPooling2D(2, 2)(x)
    x = layers.Conv2D(50, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2, 2)(x)
    x = layers.Flatten()(x)
    return images, layers.Dense(500, activation="relu")(x)
