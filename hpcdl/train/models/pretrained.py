"""A network out of a `.keras` file: as it is, or with another last layer, for `model: pretrained`."""

import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
from keras import layers

from hpcdl.errors import HpcdlError, JobFileError, LookError
from hpcdl.train.data.weights import FINISHED, find_weights
from hpcdl.train.models import head
from hpcdl.train.transfer.parts import cut, maker

KERAS_FILE = "Give a model.keras, or a run that has finished."
POOLING = {3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D}


def read_network(path: Path) -> keras.Model:
    """Return the network of a `.keras` file, not compiled.

    Raises:
        LookError: Keras cannot load it, or it is none that hpcdl works with.
    """
    try:
        model = keras.models.load_model(path, compile=False)
        if not all(layer.trainable for layer in model._flatten_layers()):
            model = _load_unfrozen(path)
    except (OSError, ValueError, TypeError) as fault:
        what = " ".join(str(fault).split())
        raise LookError(f"{path}: Keras cannot load it ({what[:200]}). {KERAS_FILE}") from None
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise LookError(f"{path}: the network must have one input and one output.")
    if len(model.input_shape) not in (3, 4) or None in model.input_shape[1:]:
        raise LookError(
            f"{path}: the network takes inputs of shape {model.input_shape[1:]}; hpcdl takes images "
            "(height, width, channels) and signals (length, channels) of a fixed size."
        )
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)  # takes a tensor where it took a list


def _load_unfrozen(path: Path) -> keras.Model:
    """Load a network as if no layer had been frozen when it was written.

    Keras 3.15 files the weights of a frozen layer among those that can never be trained, and a later
    `trainable = True` does not find them any more.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"), object_hook=_unfrozen)
    model = keras.saving.deserialize_keras_object(config)
    model.load_weights(path)
    return model


def _unfrozen(config: dict[str, Any]) -> dict[str, Any]:
    changed = {"trainable": True} if "trainable" in config else {}
    return {key: value for key, value in config.items() if key != "compile_config"} | changed


def build(weights: str, input_shape: tuple[int, ...], num_outputs: int, regression: bool, dropout: float) -> Any:
    """Return inputs and outputs of the network that `train.transfer.weights` names, with a last layer of our own.

    Its layers compute in the types with which they were saved.

    Raises:
        JobFileError: it cannot be read, takes other inputs, or has no last layer that could be replaced.
    """
    try:
        path = find_weights(weights)
        path = path / FINISHED if path.is_dir() else path
        if path.suffix == ".npz":
            raise LookError(f"{path}: a checkpoint holds no network. {KERAS_FILE}")
        network = read_network(path)
        if tuple(network.input_shape[1:]) != input_shape:
            raise LookError(
                f"{path}: the network takes inputs of shape {tuple(network.input_shape[1:])}, the data have "
                f"{input_shape}. Choose other data, or a network of this shape."
            )
        body = cut(network).body
    except HpcdlError as fault:
        raise JobFileError(f"train.model: pretrained: {fault}") from None
    features = body.outputs[0]
    if len(features.shape) > 2:
        features = POOLING[len(features.shape)]()(features)
    add_head = head.regression if regression else head.classification
    outputs = add_head(features, num_outputs, dropout)
    _rename(outputs, body)
    return body.inputs[0], outputs


def _rename(outputs: Any, body: keras.Model) -> None:
    """Give the new layers names that the old ones do not have: Keras counts those of this process alone."""
    taken, tensor = {layer.name for layer in body.layers}, outputs
    while tensor is not body.outputs[0]:
        layer, (tensor,) = maker(tensor)
        numbered = (f"{layer.name}_{number}" for number in itertools.count(1))
        layer.name = next(name for name in itertools.chain([layer.name], numbered) if name not in taken)
        taken.add(layer.name)
