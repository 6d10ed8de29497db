"""The parts of a network: what is below the last layer, and all layers by name, those of nested models too."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import keras

from hpcdl.errors import JobFileError

NUMBERED = re.compile(r"(.*?)_?(\d*)")
"""A name that Keras has made up: the kind of the layer and, from the second one in this process on, a number."""


@dataclass(frozen=True)
class Parts:
    """A network, cut before its last layer."""

    body: keras.Model
    """From the inputs to the features, the input of the last layer with weights; it shares the network's layers. A
    dropout directly before that layer is not in it."""
    features: Any
    """Symbolic: where the cut is."""
    head: list[Any]
    """The other layers: the last one with weights, what comes after it, and a dropout before it."""


def cut(model: keras.Model) -> Parts:
    """Cut a functional model with one input and one output before its last layer with weights.

    Raises:
        JobFileError: the model does not end in a single layer with weights.
    """
    head: list[Any] = []
    tensor = model.outputs[0]
    while not any(_has_weights(layer) for layer in head) or isinstance(maker(tensor)[0], keras.layers.Dropout):
        layer, inputs = maker(tensor)
        if len(inputs) != 1 or isinstance(layer, keras.Model):
            raise JobFileError(
                f"the network {model.name} does not end in a layer of its own with weights, but in {layer.name}, which "
                f"is {'a whole network' if isinstance(layer, keras.Model) else f'fed by {len(inputs)} others'}; its "
                "last layer cannot be told apart. Save it so that its output is made by a Dense layer."
            )
        head.insert(0, layer)
        (tensor,) = inputs
    return Parts(keras.Model(model.inputs[0], tensor, name=model.name), tensor, head)


def maker(tensor: Any) -> tuple[Any, Sequence[Any]]:
    """The layer or operation that a symbolic tensor comes from, and what that was called with."""
    layer, call, _ = tensor._keras_history
    return layer, layer._inbound_nodes[call].input_tensors


def _has_weights(layer: Any) -> bool:
    return bool(getattr(layer, "weights", ()))


def by_name(model: keras.Model, made_here: bool) -> dict[str, Any]:
    """Return the layers of a network by name, in its order; those of a nested model as `MODEL/LAYER`.

    Args:
        made_here: the network was built in this process, where Keras counts on over all networks (conv2d_27): its
            layers are counted from the beginning, as in a process that builds nothing else (conv2d, conv2d_1, ...).
            A network that was read from a file keeps its names.
    """
    return dict(_named(model, "", made_here))


def _named(model: keras.Model, prefix: str, made_here: bool) -> Iterator[tuple[str, Any]]:
    names = _counted_anew(model.layers) if made_here else {layer.name: layer.name for layer in model.layers}
    for layer in model.layers:
        name = prefix + names[layer.name]
        if isinstance(layer, keras.Model):
            yield from _named(layer, f"{name}/", made_here)
        else:
            yield name, layer


def _counted_anew(layers: Sequence[Any]) -> dict[str, str]:
    """Return a name for each layer's own: numbers that Keras gave count from the first such layer here."""
    kinds: dict[str, list[tuple[int, str]]] = {}
    for layer in layers:
        match = NUMBERED.fullmatch(layer.name)
        if match and match[1].replace("_", "") == type(layer).__name__.lower():
            kinds.setdefault(match[1], []).append((int(match[2] or 0), layer.name))
    made_up = {
        name: kind if place == 0 else f"{kind}_{place}"
        for kind, numbered in kinds.items()
        for place, (_, name) in enumerate(sorted(numbered))
    }
    return {layer.name: made_up.get(layer.name, layer.name) for layer in layers}


def choose(named: Mapping[str, Any], patterns: Sequence[str]) -> list[Any]:
    """Return the layers that match one of the patterns: `NAME`, with `*` and `?`, or `NAME:` for it and all after it.

    A name without `/` is that of a layer in any nested model too.

    Raises:
        JobFileError: one of the patterns matches no layer with weights; the text names those that there are.
    """
    chosen: dict[int, Any] = {}
    places = list(named.items())
    for pattern in patterns:
        matches = [place for place, (name, _) in enumerate(places) if _matches(name, pattern.removesuffix(":"))]
        if pattern.endswith(":") and matches:
            matches = list(range(matches[0], len(places)))
        found = [places[place][1] for place in matches]
        if not any(map(_has_weights, found)):
            names = ", ".join(name for name, layer in places if _has_weights(layer))
            raise JobFileError(
                f"train.transfer.unfreeze: no layer with weights below the last one is called {pattern}; there are "
                f"{names}."
            )
        chosen |= {id(layer): layer for layer in found}
    return list(chosen.values())


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or ("/" not in pattern and fnmatchcase(name.rpartition("/")[2], pattern))
