"""Multiply-adds of one layer: what papers call FLOPs. Biases, normalisations and activations are not counted.

A convolution takes F * F * D / groups of them for each value that it gives (F: size of the window, D: maps of its
input), a dense layer as many as it has inputs.
"""

from math import prod
from typing import Any

from hpcdl.train.models.receptive_field import POINTWISE

FREE = ("Global", "MaxPooling", "AveragePooling", "ZeroPadding", "Cropping", "UpSampling", "Pad", "Reshape", "Permute")


def multiply_adds(layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int | None:
    """Return the multiply-adds for one input, or None where they are not known.

    Args:
        layer: a Keras layer or operation.
        inputs, outputs: the shapes of its first input and of its output, without the batch, channels last.
    """
    kind = type(layer).__name__
    if kind == "Dense":
        return prod(outputs) * inputs[-1]
    if kind in ("Conv1D", "Conv2D", "Conv3D"):
        return prod(outputs) * prod(layer.kernel_size) * inputs[-1] // layer.groups
    if kind in ("DepthwiseConv1D", "DepthwiseConv2D"):
        return prod(outputs) * prod(layer.kernel_size)
    if kind in ("SeparableConv1D", "SeparableConv2D"):
        between = inputs[-1] * layer.depth_multiplier
        return prod(outputs[:-1]) * between * (prod(layer.kernel_size) + outputs[-1])
    if kind in ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"):
        return prod(inputs) * prod(layer.kernel_size) * outputs[-1]
    return 0 if kind in POINTWISE or kind.startswith(FREE) else None
