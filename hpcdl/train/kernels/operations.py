"""The compiled kernels as functions of TensorFlow, with their gradients."""

import functools
from typing import Any

import tensorflow as tf

from hpcdl.train.kernels import compile as compiled

DTYPES = (tf.float32, tf.bfloat16)
"""The activations that the kernels take."""


@functools.cache
def _library() -> Any:
    """The loaded library, None where it was not compiled or does not load."""
    try:
        return tf.load_op_library(str(compiled.library()))
    except (tf.errors.NotFoundError, OSError):
        return None


def compiled_here() -> bool:
    """Whether this environment has them."""
    return _library() is not None


def available() -> bool:
    """Whether the kernels can be used: they are compiled, and the network computes on cores."""
    return compiled_here() and not tf.config.get_visible_devices("GPU")


def relu(x: Any) -> Any:
    """max(x, 0); a NaN stays one. `x`: float32 or bfloat16."""
    return _library().hpcdl_relu(x=x)


def add_relu(x: Any, z: Any) -> Any:
    """max(x + z, 0) of two tensors of one shape, float32 or bfloat16."""
    return _library().hpcdl_add_relu(x=x, z=z)


def gelu(x: Any) -> Any:
    """x times the standard normal distribution at x, not the approximation by tanh. `x`: float32 or bfloat16.

    Source: D. Hendrycks, K. Gimpel, Gaussian Error Linear Units, https://arxiv.org/abs/1606.08415. Errors are below
    1e-6, or half a unit of bfloat16.
    """
    return _library().hpcdl_gelu(x=x)


def batch_normalization(
    x: Any, scale: Any, offset: Any, epsilon: float, activation: str = "linear"
) -> tuple[Any, Any, Any]:
    """Batch normalisation as in training.

    Args:
        x: (..., channels), float32 or bfloat16.
        scale, offset: (channels,), float32.
        activation: of the outputs, linear, relu or gelu.
    Returns:
        The outputs, shape and dtype of x; mean and variance of the batch (channels,), float32, not differentiable.
    """
    made = _library().hpcdl_batch_normalization(x=x, scale=scale, offset=offset, epsilon=epsilon, activation=activation)
    return made.y, made.mean, made.variance


@tf.RegisterGradient("HpcdlRelu")
def _relu_gradient(operation: Any, dy: Any) -> Any:
    return _library().hpcdl_relu_grad(dy=dy, y=operation.outputs[0])


@tf.RegisterGradient("HpcdlAddRelu")
def _add_relu_gradient(operation: Any, dy: Any) -> Any:
    both = _library().hpcdl_relu_grad(dy=dy, y=operation.outputs[0])
    return both, both


@tf.RegisterGradient("HpcdlGelu")
def _gelu_gradient(operation: Any, dy: Any) -> Any:
    return _library().hpcdl_gelu_grad(dy=dy, x=operation.inputs[0])


@tf.RegisterGradient("HpcdlBatchNormalization")
def _batch_normalization_gradient(operation: Any, dy: Any, _mean: Any, _variance: Any) -> Any:
    x, scale, offset = operation.inputs
    _, mean, variance = operation.outputs
    made = _library().hpcdl_batch_normalization_grad(
        dy=dy,
        x=x,
        scale=scale,
        offset=offset,
        mean=mean,
        variance=variance,
        epsilon=operation.get_attr("epsilon"),
        activation=operation.get_attr("activation"),
    )
    return made.dx, made.dscale, made.doffset
