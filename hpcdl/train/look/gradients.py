"""What an output depends on in one input: saliency, and guided backpropagation."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.train.look.layers import scores_of


def input_gradient(scores: keras.Model, inputs: np.ndarray, unit: int) -> np.ndarray:
    """Return the derivative of one output by the inputs, for each input alone.

    Args:
        scores: any model; `unit` is a place in the last axis of its output. Other axes are averaged over.
        inputs: float32, shape (batch, *input_shape).
    Returns:
        float32, the shape of `inputs`.
    """
    images = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = tf.cast(scores(images, training=False), tf.float32)[..., unit]
        total = tf.reduce_sum(tf.reduce_mean(tf.reshape(outputs, (len(inputs), -1)), axis=1))
    return tape.gradient(total, images).numpy()


def saliency(model: keras.Model, inputs: np.ndarray, unit: int) -> np.ndarray:
    """Return how much each pixel or sample moves the score of a class: |dS_c / dI|, the greatest of its channels.

    Source: K. Simonyan, A. Vedaldi and A. Zisserman, Deep Inside Convolutional Networks, 2013, arXiv:1312.6034,
    section 3.1. S_c is the score before the softmax.

    Args:
        model: a classifier or a regression.
        inputs: float32, shape (batch, *input_shape).
        unit: the class, or the place of a regression's target.
    Returns:
        float32 >= 0, shape (batch, height, width), or (batch, length) for signals.
    """
    return np.abs(input_gradient(scores_of(model), inputs, unit)).max(axis=-1)


def guided_backprop(model: keras.Model, inputs: np.ndarray, unit: int) -> np.ndarray:
    """Return the gradient of a score in which each ReLU passes back only what is positive, where it was active.

    Source: J. Springenberg et al., Striving for Simplicity: The All Convolutional Net, 2014, arXiv:1412.6806,
    section 3.4: R_l = (f_l > 0) (R_{l+1} > 0) R_{l+1}. Activations other than ReLU keep their own gradient.

    Args and returns as for `input_gradient`, with the score before the softmax.
    """
    return input_gradient(guided(scores_of(model)), inputs, unit)


def guided(model: keras.Model) -> keras.Model:
    """Return a copy of a model, with the same weights, whose ReLUs have the guided gradient."""

    def copy(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.layers.ReLU) and _is_plain(layer):
            return keras.layers.Activation(_guided_relu, name=layer.name, dtype=layer.dtype_policy)
        new = layer.__class__.from_config(layer.get_config())
        if getattr(layer, "activation", None) is keras.activations.relu:
            new.activation = _guided_relu
        return new

    clone = keras.models.clone_model(model, clone_function=copy)
    clone.set_weights(model.get_weights())
    return clone


def _is_plain(layer: Any) -> bool:
    return not layer.negative_slope and not layer.threshold and layer.max_value is None


@tf.custom_gradient
def _guided_relu(values: Any) -> Any:
    output = tf.nn.relu(values)

    def back(upstream: Any) -> Any:
        return tf.where((output > 0) & (upstream > 0), upstream, tf.zeros_like(upstream))

    return output, back
