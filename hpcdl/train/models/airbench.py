"""The network of airbench94: six wide convolutions that train to 94 % on CIFAR-10 in ten epochs.

Source: K. Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, https://arxiv.org/abs/2404.00498.
"""

from typing import Any

import numpy as np
from keras import layers

from hpcdl.train.models.arguments import Activation
from hpcdl.values import Positive

PATCH = 2
"""Height and width of the patches that the first layer looks at."""
WHITENING = "whitening"
"""Name of that layer."""
EPSILON = 5e-4
"""Added to the variances of patches, so that those that hardly occur are not blown up."""


def airbench(
    input_shape: tuple[int, int, int],
    maps_1: Positive = 64,
    maps_2: Positive = 256,
    maps_3: Positive = 256,
    activation: Activation = "gelu",
) -> tuple[Any, Any]:
    """Whitened patches of 2x2 pixels, then three blocks of two 3x3 convolutions with pooling after the first of them.

    The first layer is not trained: `first_weights` makes it of the data. The bias that the paper gives it for three
    epochs is left out; without it no gradient has to go back through the largest activation.

    Args:
        input_shape: (height, width, channels), at least 9x9; (32, 32, 3) for CIFAR-10.
        maps_1, maps_2, maps_3: of the three blocks.
        activation: relu is faster on a CPU.
    """
    images = layers.Input(input_shape)
    patches = 2 * PATCH * PATCH * input_shape[-1]
    x = layers.Conv2D(patches, PATCH, use_bias=False, trainable=False, name=WHITENING)(images)
    x = layers.Activation(activation)(x)
    for maps in (maps_1, maps_2, maps_3):
        x = layers.Conv2D(maps, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D(2)(x)
        x = _normalized(x, activation)
        x = layers.Conv2D(maps, 3, padding="same", use_bias=False)(x)
        x = _normalized(x, activation)
    return images, layers.Rescaling(1 / 9)(layers.GlobalMaxPooling2D()(x))


def first_weights(model: Any, images: np.ndarray) -> None:
    """Set the weights with which the training begins: the whitening, and convolutions that pass their input on.

    Args:
        model: a Keras model of the network.
        images: float32, what the whitening layer will see: shape (num_images, height, width, channels).
    """
    first = model.get_layer(WHITENING)
    first.set_weights([whitening(images)])
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Conv2D) and layer is not first:
            (kernel,) = layer.get_weights()
            for channel in range(min(kernel.shape[2:])):
                kernel[:, :, :, channel] = 0
                kernel[1, 1, channel, channel] = 1
            layer.set_weights([kernel])


def whitening(images: np.ndarray) -> np.ndarray:
    """Return a kernel that whitens patches: its outputs are uncorrelated, of variance 1, each with both signs.

    The directions are the eigenvectors of the patches' second moments, the largest first.

    Args:
        images: as above.
    Returns:
        float32, shape (PATCH, PATCH, channels, 2 * PATCH * PATCH * channels).
    """
    patches = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
    patches = patches.transpose(0, 1, 2, 4, 5, 3)  # (n, places, places, height, width, channels)
    shape = patches.shape[3:]
    rows = patches.reshape(-1, np.prod(shape)).astype(np.float64)
    variances, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    kernel = (directions / np.sqrt(variances + EPSILON))[:, ::-1].reshape(*shape, -1)
    return np.concatenate([kernel, -kernel], axis=-1).astype(np.float32)


def _normalized(x: Any, activation: str) -> Any:
    x = layers.BatchNormalization(momentum=0.6, epsilon=1e-5, scale=False)(x)
    return layers.Activation(activation)(x)
