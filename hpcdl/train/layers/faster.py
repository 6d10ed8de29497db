"""The layers that do in another way what Keras's own do."""

from collections import Counter
from itertools import chain
from typing import Any

import keras

from hpcdl.train.layers.activation import FusedAdd, stand_in
from hpcdl.train.layers.batch_normalization import FusedBatchNormalization
from hpcdl.train.layers.convolution import ConvolutionByProducts

FASTER: dict[type[Any], type[Any]] = {
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.Conv2D: ConvolutionByProducts,
}
"""By the layer of Keras that they stand in for."""


def use_faster_layers(model: Any) -> None:
    """Put them in the place of Keras's own in a model, and let one layer do the activation behind it where it can."""
    layers = list(model._flatten_layers())
    for layer in layers:
        layer.__class__ = FASTER.get(type(layer), type(layer))
    models = [layer for layer in layers if hasattr(layer, "_nodes_by_depth")]  # the model itself, and those within it
    graphs = [(graph.outputs, [*chain.from_iterable(graph._nodes_by_depth.values())]) for graph in models]
    calls = Counter(node.operation for _, nodes in graphs for node in nodes)
    for outputs, nodes in graphs:
        taken = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
        taken.update(id(tensor) for tensor in outputs)
        for node in nodes:
            if calls[node.operation] == 1 and (faster := stand_in(node.operation)):
                (source,) = node.parent_nodes
                alone = calls[source.operation] == 1 and taken[id(node.input_tensors[0])] == 1
                _use_faster_activation(node.operation, faster, source, alone)


def _use_faster_activation(layer: Any, faster: type[Any], source: Any, alone: bool) -> None:
    """Put a faster layer in the place of an activation.

    Args:
        source: the node of the layer before it.
        alone: whether nobody else takes that layer's outputs, so that it can do the activation too.
    """
    before, own = source.operation, layer.__class__
    layer.__class__ = faster
    if layer.kind == "relu" and getattr(before, "use_bias", False):
        layer.__class__ = own  # TensorFlow joins a convolution, its bias and a ReLU by itself
    elif alone and isinstance(before, FusedBatchNormalization):
        before.activation, layer.done_before = layer.kind, True
    elif alone and layer.kind == "relu" and _adds_two_alike(source):
        before.__class__ = FusedAdd
        before.rectifies = layer.done_before = True


def _adds_two_alike(node: Any) -> bool:
    if type(node.operation) is not keras.layers.Add or len(node.input_tensors) != 2:
        return False
    one, other = node.input_tensors
    return one.shape == other.shape and None not in one.shape[1:]
