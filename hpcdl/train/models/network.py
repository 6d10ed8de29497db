"""From what a job file says of its model to the inputs and outputs of a Keras model."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from hpcdl.errors import JobFileError
from hpcdl.train.models import applications, catalogue, head, own


def build_network(
    name: str,
    arguments: Mapping[str, Any],
    input_shape: tuple[int, ...],
    num_outputs: int,
    regression: bool = False,
    dropout: float = 0.0,
) -> tuple[Any, Any]:
    """Return the inputs and outputs of a network with its last layer, in the current precision of Keras.

    Args:
        name: a network of the catalogue, or the user's own as `package.module:function`.
        arguments: of the network's function.
        input_shape: the shape of one input, channels last.
        num_outputs: classes, or the numbers to predict.
        regression: the outputs are numbers and not probabilities.
        dropout: before the last layer, beside what the network has of its own.
    Raises:
        JobFileError: there is no such network, or it cannot be built with these arguments on this input.
    """
    add_head = partial(head.regression if regression else head.classification, dropout=dropout)
    if name.startswith(applications.PREFIX):
        inputs, features = applications.build(name, arguments, input_shape)
        return inputs, add_head(features, num_outputs)
    if ":" in name:
        return own.build(name, arguments, input_shape, num_outputs, add_head, dropout)
    try:
        catalogue.check(name, arguments)
        catalogue.check_input(name, input_shape)
    except ValueError as fault:
        raise JobFileError(f"train.model: {fault}") from None
    entry = catalogue.MODELS[name]
    inputs, features = _function(entry.function)(input_shape, **entry.fixed, **arguments)
    return inputs, add_head(features, num_outputs)


def set_first_weights(name: str, model: Any, images: Callable[[], np.ndarray]) -> None:
    """Set the weights with which a network begins its training, where it asks for other than random ones.

    Args:
        images: gives the first images of the training as the network sees them, float32; called where they are needed.
    """
    entry = catalogue.MODELS.get(name)
    if entry and entry.first_weights:
        _function(entry.first_weights)(model, images())


def _function(place: str) -> Callable[..., Any]:
    module, function = place.split(":")
    return getattr(importlib.import_module(f"hpcdl.train.models.{module}"), function)
