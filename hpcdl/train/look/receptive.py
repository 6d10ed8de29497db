"""Which part of the input a unit sees."""

import keras

from hpcdl.train.look.layers import outputs_of
from hpcdl.train.models.summary import rows

Window = tuple[tuple[int, int], ...]
"""For each axis of the input the first place and the one after the last; may reach beyond the border (padding)."""


def receptive_field(model: keras.Model, layer: keras.Layer, position: tuple[int, ...]) -> Window:
    """Return the window of the input that the unit of `layer` at `position` sees (hpcdl.train.models.receptive_field).

    It is the whole input where a layer mixes all places, or does what is not known: a window that is too wide shows
    too much, one that is too small would show something else. Near the border it is drawn as if the input went on,
    which it does not for what layers in between have padded.

    Args:
        position: in the layer's map: (row, column), (sample,), or () for a layer without places.
    """
    *_, last = rows(outputs_of(model, layer))
    field = last.receptive_field
    if field is None or field.whole or len(field.axes) != len(position):
        return tuple((0, length) for length in model.input_shape[1:-1])
    starts = (axis.start + axis.jump * place for axis, place in zip(field.axes, position, strict=True))
    return tuple((start, start + axis.size) for start, axis in zip(starts, field.axes, strict=True))
