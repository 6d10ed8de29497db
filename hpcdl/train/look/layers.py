"""The parts of a Keras model that are looked at: a layer by name, the scores before the softmax, the features."""

import difflib
from typing import Any

import keras

from hpcdl.errors import LookError

CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


def find_layer(model: keras.Model, name: str) -> keras.Layer:
    """Return a layer by its name.

    Raises:
        LookError: there is none; the text names the nearest, or all.
    """
    names = [layer.name for layer in model.layers]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"It has {', '.join(names)}."
        raise LookError(f"--layer {name}: the network has no such layer. {hint}")
    return model.get_layer(name)


def first_weights(model: keras.Model) -> keras.Layer:
    """Return the first layer that weighs the input: a convolution, or a dense layer.

    Raises:
        LookError: there is none.
    """
    for layer in model.layers:
        if isinstance(layer, (*CONVOLUTIONS, keras.layers.Dense)):
            return layer
    raise LookError("the network has neither a convolution nor a dense layer; there are no filters to show.")


def last_maps(model: keras.Model) -> keras.Layer | None:
    """Return the last convolution, whose channels see most of the input; None where there is none."""
    return next((layer for layer in reversed(model.layers) if isinstance(layer, CONVOLUTIONS)), None)


def outputs_of(model: keras.Model, layer: keras.Layer) -> keras.Model:
    """Return the part of a model from its inputs to the output of a layer."""
    return keras.Model(model.inputs[0], layer.output)


def scores_of(model: keras.Model) -> keras.Model:
    """Return the model with the scores S_c of Simonyan et al. as outputs: what goes into the last softmax or sigmoid.

    The gradient of a probability would also see the other classes shrink. The outputs of a regression are its scores.
    """
    last = _last_layer(model)
    if isinstance(last, keras.layers.Softmax | keras.layers.Activation):
        return keras.Model(model.inputs[0], last.input)
    if isinstance(last, keras.layers.Dense) and last.activation is not keras.activations.linear:
        linear = keras.layers.Dense.from_config({**last.get_config(), "activation": "linear"})
        scores = keras.Model(model.inputs[0], linear(last.input))
        linear.set_weights(last.get_weights())
        return scores
    return model


def features_of(model: keras.Model) -> keras.Model:
    """Return the model up to its last hidden layer: the input of the last dense layer, shape (batch, features)."""
    layer: Any = _last_layer(model)
    while not isinstance(layer, keras.layers.Dense):
        if not isinstance(layer, keras.layers.Softmax | keras.layers.Activation):
            raise LookError(f"the network ends in {layer.name}, not in a dense layer; it has no last hidden layer.")
        layer = layer.input._keras_history.operation
    return keras.Model(model.inputs[0], layer.input)


def _last_layer(model: keras.Model) -> Any:
    return model.outputs[0]._keras_history.operation
