"""The networks of keras.applications, by `keras.applications:NAME`, with the preprocessing that their weights need.

Keras names its files of weights without a last layer `..._notop.h5`; hpcdl loads them by train.transfer.weights.
"""

import difflib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from hpcdl.errors import JobFileError

PREFIX = "keras.applications:"
OURS = ("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation")
"""Arguments that hpcdl gives itself."""


def build(name: str, arguments: Mapping[str, Any], input_shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the inputs and the features of a network of keras.applications, without weights.

    The inputs are 0..1 as everywhere in hpcdl. The network's own `preprocess_input` is its first part: for some
    networks channels in the order blue, green, red with ImageNet's mean taken off, for some -1..1.

    Raises:
        JobFileError: there is none of that name, or it does not take these arguments or this shape.
    """
    known = [key for key, value in vars(keras.applications).items() if inspect.isfunction(value)]
    wanted = name.removeprefix(PREFIX)
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else "https://keras.io/api/applications lists them."
        raise JobFileError(f"train.model: keras.applications has no {wanted}. {hint}")
    function = getattr(keras.applications, wanted)
    allowed = [key for key in inspect.signature(function).parameters if key not in OURS]
    for argument in arguments:
        if argument not in allowed:
            raise JobFileError(
                f"train.model: {name} has no argument '{argument}' here; it takes {', '.join(allowed) or 'none'}."
            )
    images = layers.Input(input_shape)
    preprocess = sys.modules[function.__module__].preprocess_input
    try:
        inputs = preprocess(layers.Rescaling(255.0)(images))
        network = function(include_top=False, weights=None, input_tensor=inputs, pooling="avg", **arguments)
    except (ValueError, TypeError) as fault:
        raise JobFileError(f"train.model: {name} on inputs of {input_shape}: {' '.join(str(fault).split())}") from None
    return images, network.outputs[0]
