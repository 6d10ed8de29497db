"""A network, layer by layer: shapes, parameters, multiply-adds and receptive fields, from Keras's graph of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import keras

from hpcdl.train.models.multiply_adds import multiply_adds
from hpcdl.train.models.network import build_network
from hpcdl.train.models.receptive_field import Axis, Field, field_after


@dataclass(frozen=True)
class Row:
    """One layer, or one use of it."""

    layer: str
    """Its kind, and what says how large it is: `Conv2D 20 5x5`."""
    shape: tuple[int, ...]
    """Of its output for one input."""
    parameters: int
    """Trained ones; 0 at the second use of a shared layer."""
    statistics: int
    """Weights that are not trained: the running means and variances of batch normalisation."""
    multiply_adds: int | None
    """For one input; None where hpcdl does not know the layer."""
    receptive_field: Field | None
    """Likewise."""

    @property
    def size(self) -> int:
        """The number of values of its output."""
        return prod(self.shape)


def summarize(
    name: str, arguments: Mapping[str, Any], input_shape: tuple[int, ...], num_outputs: int, regression: bool = False
) -> list[Row]:
    """Return the layers of a network with its last one, in the order of computation. No weights are made.

    Args:
        As those of `network.build_network`.
    Raises:
        JobFileError: the network cannot be built.
    """
    with keras.StatelessScope(initialize_variables=False):
        model = keras.Model(*build_network(name, arguments, input_shape, num_outputs, regression))
    return list(rows(model))


def rows(model: Any) -> Iterator[Row]:
    """Yield the layers of a functional Keras model; a model inside it is opened."""
    fields: dict[int, Field | None] = {
        id(tensor): Field((Axis(),) * (len(tensor.shape) - 2)) for tensor in model.inputs
    }
    yield from _walk(model, fields, set())


def _walk(model: Any, fields: dict[int, Field | None], seen: set[int]) -> Iterator[Row]:
    """Yield the rows of a model; `fields`, by id of the tensor, has those of its inputs and gets all others."""
    model = getattr(model, "_functional", None) or model  # what a Sequential stands for
    nodes = [node for _, level in sorted(model._nodes_by_depth.items(), reverse=True) for node in level]
    for node in nodes:
        operation, inputs, outputs = node.operation, node.input_tensors, node.output_tensors
        given = [fields[id(tensor)] for tensor in inputs or outputs]
        if isinstance(operation, keras.Model):
            inner = dict(zip(map(id, operation.inputs), given, strict=True))
            yield from _walk(operation, inner, seen)
            fields |= {id(outer): inner[id(own)] for outer, own in zip(outputs, operation.outputs, strict=True)}
            continue
        taken, shape = tuple((inputs or outputs)[0].shape[1:]), tuple(outputs[0].shape[1:])
        field = field_after(operation, given, taken)
        fields |= {id(tensor): field for tensor in outputs}
        weights = [] if id(operation) in seen else getattr(operation, "weights", [])
        seen.add(id(operation))
        trained = sum(prod(weight.shape) for weight in weights if weight.trainable)
        yield Row(
            layer=_label(operation),
            shape=shape,
            parameters=trained,
            statistics=sum(prod(weight.shape) for weight in weights) - trained,
            multiply_adds=multiply_adds(operation, taken, shape),
            receptive_field=field,
        )


def _label(operation: Any) -> str:
    """The kind of a layer with its maps or units, its window and its stride."""
    kind = type(operation).__name__
    parts = [kind.removesuffix("Layer")]
    parts += [str(getattr(operation, name)) for name in ("filters", "units") if hasattr(operation, name)]
    for name in ("kernel_size", "pool_size"):
        if hasattr(operation, name):
            parts.append("x".join(map(str, getattr(operation, name))))
            strides = tuple(operation.strides)
            parts += [f"/{strides[0]}"] if set(strides) != {1} else []
    return " ".join(parts)
