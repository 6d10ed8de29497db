"""The filters of the first layer: what it multiplies the input with."""

import keras
import numpy as np

from hpcdl.train.look.layers import first_weights


def first_filters(model: keras.Model) -> np.ndarray:
    """Return the filters of the first layer that weighs the input.

    Source: A. Krizhevsky, I. Sutskever and G. Hinton, ImageNet Classification with Deep Convolutional Neural Networks,
    NIPS 2012, figure 3.

    Returns:
        float32, shape (filters, height, width, channels), or (filters, length, channels) for signals. The columns of a
        dense layer on a flattened input come in the shape of the input: the template of each unit.
    Raises:
        LookError: the network has no such layer.
    """
    layer = first_weights(model)
    kernel = (layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel).value.numpy()
    if isinstance(layer, keras.layers.Dense):
        return kernel.T.reshape(-1, *model.input_shape[1:])
    return np.moveaxis(kernel, -1, 0)
