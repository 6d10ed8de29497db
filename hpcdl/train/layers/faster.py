"""The layers that do in another way what Keras's own do."""

from collections import Counter
from itertools import chain
from typing import Any

import keras

from hpcdl.train.layers.batch_normalization import FusedBatchNormalization
from hpcdl.train.layers.convolution import ConvolutionByProducts
from hpcdl.train.layers.rectifier import RECTIFIERS, FusedAdd, is_relu

FASTER: dict[type[Any], type[Any]] = {
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.Conv2D: ConvolutionByProducts,
}
"""By the layer of Keras that they stand in for."""


def use_faster_layers(model: Any) -> None:
    """Put them in the place of all of Keras's own in a model, and let one layer do the ReLU behind it where it can."""
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
            if is_relu(node.operation) and calls[node.operation] == 1:
                (source,) = node.parent_nodes
                alone = calls[source.operation] == 1 and taken[id(node.input_tensors[0])] == 1
                _use_faster_relu(node.operation, source, alone)


def _use_faster_relu(relu: Any, source: Any, alone: bool) -> None:
    """Put a faster layer in the place of a ReLU.

    Args:
        source: the node of the layer before it.
        alone: whether nobody else takes that layer's outputs, so that it can do the ReLU too.
    """
    before = source.operation
    if getattr(before, "use_bias", False):
        return  # TensorFlow joins a convolution, its bias and a ReLU by itself
    relu.__class__ = RECTIFIERS[type(relu)]
    if alone and type(before) is keras.layers.Add and len(source.input_tensors) == 2:
        one, other = source.input_tensors
        if one.shape == other.shape and None not in one.shape[1:]:
            before.__class__ = FusedAdd
    if alone and isinstance(before, FusedBatchNormalization | FusedAdd):
        before.rectifies = relu.done_before = True
