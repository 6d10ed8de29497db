"""The lecture's network for MNIST."""

from typing import Any

from keras import layers


def mnist_cnn(input_shape: tuple[int, int, int], num_classes: int, dropout: float = 0.0) -> tuple[Any, Any]:
    """Two convolutions with pooling, a dense layer of 500 and the classes: 1,256,080 parameters on MNIST.

    Args:
        input_shape: (height, width, channels); (28, 28, 1) for MNIST.
        num_classes: 10 for MNIST.
        dropout: the part of the 500 features set to zero in training; 0 as in the lecture.
    Returns:
        The input, float32 of shape (batch, *input_shape), 0..1, and the output, float32 of shape
        (batch, num_classes), which sums to 1 over the classes.
    """
    images = layers.Input(input_shape)
    x = layers.Conv2D(20, 5, padding="same", activation="relu")(images)
    x = layers.MaxPooling2D(2, 2)(x)
    x = layers.Conv2D(50, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2, 2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(500, activation="relu")(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    return images, layers.Dense(num_classes, activation="softmax", dtype="float32")(x)
