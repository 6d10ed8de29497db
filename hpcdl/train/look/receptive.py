"""The receptive field: which part of the input a unit sees."""

from typing import Any, NamedTuple

import keras

from hpcdl.errors import LookError

Window = tuple[tuple[int, int], ...]
"""For each axis of the input the first place and the one after the last; may reach beyond the border (padding)."""


class Field(NamedTuple):
    """Along one axis: place p of a layer sees the input from `start + jump * p` on, `size` places."""

    start: int
    jump: int
    size: int


Fields = tuple[Field, ...]
"""One for each axis of the input."""

WINDOWED = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
)

PLACE_BY_PLACE = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.PReLU,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.Rescaling,
    keras.layers.Dense,
    keras.layers.Add,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Concatenate,
)
"""Layers of which each place sees the same place of their inputs. Any layer in neither list counts as one that mixes
all places: a window that is too wide shows too much, one that is too small would show something else."""


def receptive_field(model: keras.Model, layer: keras.Layer, position: tuple[int, ...]) -> Window:
    """Return the window of the input that the unit of `layer` at `position` sees.

    Followed layer by layer from the input (Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural
    Networks, Distill, 2019); where paths meet it is the smallest window around all of them. A layer that mixes all
    positions (flatten, dense, global pooling) sees the whole input. Near the border the window is drawn as if the input
    went on, which it does not for what layers in between have padded.

    Args:
        position: in the layer's map: (row, column), (sample,), or ().
    """
    whole = tuple((0, length) for length in model.input_shape[1:-1])
    fields = _fields(model).get(layer.output.name)
    if fields is None:
        return whole
    if len(position) != len(fields):
        raise LookError(f"layer {layer.name} has maps of {len(fields)} axes; {position} is no place in them.")
    starts = (field.start + field.jump * place for field, place in zip(fields, position, strict=True))
    return tuple((start, start + field.size) for start, field in zip(starts, fields, strict=True))


def _fields(model: keras.Model) -> dict[str, Fields | None]:
    """For each tensor of the model, by name, one field per axis; None where every unit sees the whole input."""
    axes = len(model.input_shape) - 2
    known: dict[str, Fields | None] = {tensor.name: (Field(0, 1, 1),) * axes for tensor in model.inputs}
    for operation in model.operations:  # in an order in which inputs come before outputs
        if not isinstance(operation, keras.layers.InputLayer):
            inputs = [tensor for tensor in keras.tree.flatten(operation.input) if tensor.name in known]
            for output in keras.tree.flatten(operation.output):
                known[output.name] = _behind(operation, inputs, output, [known[tensor.name] for tensor in inputs])
    return known


def _behind(operation: Any, inputs: list[Any], output: Any, before: list[Fields | None]) -> Fields | None:
    """The fields behind an operation, from those before it."""
    fields = [field for field in before if field is not None]
    shapes = {tuple(tensor.shape[1:-1]) for tensor in inputs}
    if len(fields) < len(before) or len(shapes) != 1 or len(output.shape) != len(inputs[0].shape):
        return None
    if isinstance(operation, WINDOWED):
        return tuple(_through(field, *window) for field, window in zip(fields[0], _windows(operation), strict=True))
    if isinstance(operation, keras.layers.ZeroPadding1D | keras.layers.ZeroPadding2D):
        padding = zip(fields[0], _before(operation), strict=True)
        return tuple(field._replace(start=field.start - field.jump * places) for field, places in padding)
    if isinstance(operation, PLACE_BY_PLACE) and shapes == {tuple(output.shape[1:-1])}:
        return tuple(_around(axis) for axis in zip(*fields, strict=True))
    return None


def _through(field: Field, kernel: int, stride: int, dilation: int, before: int) -> Field:
    """The field behind a window of `kernel` places, with `before` places of padding in front of the input."""
    return Field(
        field.start - before * field.jump,
        field.jump * stride,
        field.size + (kernel - 1) * dilation * field.jump,
    )


def _windows(layer: Any) -> list[tuple[int, int, int, int]]:
    """Kernel, stride, dilation and padding in front of a convolution or a pooling, for each axis."""
    lengths = layer.input.shape[1:-1]
    kernels = _each(getattr(layer, "kernel_size", None) or layer.pool_size, len(lengths))
    strides = _each(layer.strides, len(lengths))
    dilations = _each(getattr(layer, "dilation_rate", 1), len(lengths))
    result = []
    for length, kernel, stride, dilation in zip(lengths, kernels, strides, dilations, strict=True):
        reach = (kernel - 1) * dilation + 1
        before = {"valid": 0, "causal": reach - 1}.get(layer.padding)
        if before is None:  # same: TensorFlow's rule, the odd place behind
            before = max((-(-length // stride) - 1) * stride + reach - length, 0) // 2
        result.append((kernel, stride, dilation, before))
    return result


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _before(layer: Any) -> list[int]:
    padding = layer.padding
    return [padding[0]] if isinstance(padding[0], int) else [before for before, _ in padding]


def _around(fields: tuple[Field, ...]) -> Field:
    """The smallest field around several with one jump."""
    start = min(field.start for field in fields)
    stop = max(field.start + field.size for field in fields)
    return Field(start, max(field.jump for field in fields), stop - start)
