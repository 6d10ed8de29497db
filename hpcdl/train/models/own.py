"""A user's own network, by `package.module:function`.

    def my_network(input_shape, width=64):
        images = keras.Input(input_shape)
        ...
        return images, features          # hpcdl adds the last layer

The function gets the shape of one input as `input_shape` and the other arguments of the job file by name. It returns
inputs and features of shape (batch, num_features), or a keras.Model that has them. One with an argument `num_outputs`
gets that number too, and returns outputs of shape (batch, num_outputs) that are complete: probabilities for classes,
numbers for a regression, float32.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from hpcdl.errors import JobFileError
from hpcdl.train.functions import find_function, place_of


def build(
    place: str,
    arguments: Mapping[str, Any],
    input_shape: tuple[int, ...],
    num_outputs: int,
    add_head: Callable[[Any, int], Any],
    dropout: float,
) -> tuple[Any, Any]:
    """Return inputs and outputs of a user's network; the arguments are those of `network.build_network`.

    Raises:
        JobFileError: the function is not there, does not take the arguments, fails, or returns something else.
    """
    function = find_function("train.model", place)
    given = {**arguments, "input_shape": input_shape}
    signature = inspect.signature(function)
    complete = "num_outputs" in signature.parameters
    if complete:
        given["num_outputs"] = num_outputs
        if dropout:
            raise JobFileError(
                f"train.dropout: {place} makes its own last layer. Give the function an argument for the dropout."
            )
    try:
        signature.bind(**given)
    except TypeError as fault:
        raise JobFileError(f"train.model: {place}{signature} cannot be called with {sorted(given)}: {fault}.") from None
    try:
        made = function(**given)
    except Exception as fault:
        raise JobFileError(f"train.model: {place} failed at {place_of(fault, function.__module__)}.") from fault
    inputs, outputs = _pair(place, made)
    if complete and tuple(outputs.shape[1:]) != (num_outputs,):
        raise JobFileError(
            f"train.model: {place} must return outputs of shape (batch, {num_outputs}); these have {outputs.shape}."
        )
    if len(outputs.shape) != 2:
        raise JobFileError(
            f"train.model: {place} must return features of shape (batch, num_features); these have {outputs.shape}. "
            "End it with a Flatten or a global pooling."
        )
    return inputs, outputs if complete else add_head(outputs, num_outputs)


def _pair(place: str, made: Any) -> tuple[Any, Any]:
    if isinstance(made, keras.Model):
        made = (made.inputs[0], made.outputs[0]) if len(made.inputs) == len(made.outputs) == 1 else None
    if not (isinstance(made, tuple | list) and len(made) == 2 and all(map(keras.backend.is_keras_tensor, made))):
        raise JobFileError(f"train.model: {place} must return one Keras input and one output, or a model with these.")
    return made[0], made[1]
