"""The networks by name: where each one is, for what it was published, and what it costs. Needs no Keras."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpcdl.train.models.arguments import check_argument, read_arguments


@dataclass(frozen=True)
class Entry:
    """A network that hpcdl brings."""

    function: str
    """`module:function` in hpcdl.train.models."""
    input_shape: tuple[int, ...]
    """The shape of one input as published, channels last."""
    num_outputs: int
    """The number of classes as published."""
    parameters: int
    """Trained parameters with that input and those classes; the running statistics of batch normalisation, which are
    not trained, are not among them."""
    multiply_adds: int
    """Multiply-adds of one forward pass of one input: of convolutions and dense layers, without biases."""
    paper: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the function that the name stands for."""


MODELS: dict[str, Entry] = {
    "mnist_cnn": Entry("mnist_cnn:mnist_cnn", (28, 28, 1), 10, 1_256_080, 6_522_000, "a lecture's hands-on"),
}


def check_name(name: str) -> Entry:
    """Return the network of a name.

    Raises:
        ValueError: there is none; the text names the nearest.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "`hpcdl models` lists them; your own is `module:function`."
        raise ValueError(f"'{name}' is no model. {hint}")
    return MODELS[name]


def check(name: str, arguments: Mapping[str, Any]) -> None:
    """Check that there is a network of that name and that it takes these arguments.

    Raises:
        ValueError: there is none, or it does not; the text names the nearest right word.
    """
    entry = check_name(name)
    allowed = arguments_of(entry)
    for argument, value in arguments.items():
        if argument not in allowed:
            near = difflib.get_close_matches(argument, allowed, n=1)
            takes = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
            raise ValueError(
                f"{name} has no argument '{argument}'" + (f". Did you mean '{near[0]}'?" if near else f"; {takes}.")
            )
        check_argument(name, argument, allowed[argument], value)


def arguments_of(entry: Entry) -> dict[str, str]:
    """Return the arguments that a job file may give to a network, and their kinds as in the function's signature."""
    kinds = read_arguments(entry.function)
    return {name: kind for name, kind in kinds.items() if name not in entry.fixed}
