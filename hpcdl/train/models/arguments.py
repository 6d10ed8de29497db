"""The arguments of the networks, read from the text of their modules: to import those would load TensorFlow."""

import ast
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from hpcdl.values import Fraction, Positive

Activation = Literal["elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid", "silu", "tanh"]
"""Some of Keras's activations, in Keras's words."""

KINDS: dict[str, TypeAdapter[Any]] = {
    "bool": TypeAdapter(bool),
    "Fraction": TypeAdapter(Fraction),
    "Positive": TypeAdapter(Positive),
    "Positive | None": TypeAdapter(Positive | None),
    "Activation": TypeAdapter(Activation),
}
"""The annotations that the networks' functions use for their arguments."""


@cache
def read_arguments(function: str) -> dict[str, str]:
    """Return the arguments of a network's function after the shape of the input, and their annotations.

    Args:
        function: `module:function` in hpcdl.train.models.
    """
    module, name = function.split(":")
    tree = ast.parse(files("hpcdl.train.models").joinpath(f"{module}.py").read_text(encoding="utf-8"))
    definition = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return {
        argument.arg: ast.unparse(argument.annotation) for argument in definition.args.args[1:] if argument.annotation
    }


def check_argument(model: str, argument: str, kind: str, value: Any) -> None:
    """Check one value of a job file.

    Raises:
        ValueError: it is not of the argument's kind.
    """
    try:
        KINDS[kind].validate_python(value, strict=True)
    except ValidationError as faults:
        must = faults.errors(include_url=False)[0]["msg"].removeprefix("Input should ")
        raise ValueError(f"{model} cannot have {argument} {value!r}; it must {must}.") from None
