"""Squeeze and excitation: what makes an SE-ResNet of a ResNet."""

from typing import Any

from keras import layers


def recalibrate(x: Any, ratio: int) -> Any:
    """Return the maps, each weighted by a number in 0..1 that two dense layers make of the means of all maps.

    Args:
        x: shape (batch, height, width, num_maps).
        ratio: the inner dense layer has num_maps // ratio units, at least 1; 16 in the paper.

    Source: J. Hu et al., Squeeze-and-Excitation Networks, https://arxiv.org/abs/1709.01507.
    """
    num_maps = x.shape[-1]
    means = layers.GlobalAveragePooling2D(keepdims=True)(x)
    inner = layers.Dense(max(1, num_maps // ratio), activation="relu", kernel_initializer="he_normal")(means)
    weights = layers.Dense(num_maps, activation="sigmoid")(inner)
    return layers.Multiply()([x, weights])
