"""The networks, by name. Each is one function from input shape and number of classes to inputs and outputs."""

from collections.abc import Callable
from typing import Any

from hpcdl.errors import JobFileError
from hpcdl.train.models.mnist_cnn import mnist_cnn

MODELS: dict[str, Callable[..., tuple[Any, Any]]] = {"mnist_cnn": mnist_cnn}


def find_model(name: str) -> Callable[..., tuple[Any, Any]]:
    """Return the function that builds a network.

    Raises:
        JobFileError: there is none of that name.
    """
    if name not in MODELS:
        raise JobFileError(f"train.model: '{name}' is no model; there are {', '.join(sorted(MODELS))}.")
    return MODELS[name]
