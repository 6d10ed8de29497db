"""The receptive field: the part of the input that one value of an activation can depend on.

A window of k values with dilation d and stride s, behind p values of padding, over positions that are `jump` input
pixels apart and see `size` of them from `start` on:

    size' = size + (k - 1) d jump      start' = start - p jump      jump' = s jump

Where paths meet, the field is the smallest interval that holds those of all of them. Padding counts, as in the
literature: deep in a network the field is larger than the image.

Source: A. Araujo, W. Norris and J. Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019,
https://distill.pub/2019/computing-receptive-fields. Alignment of the paths is exact here, theirs by the centres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

POINTWISE = set(
    "Activation Add Average BatchNormalization Concatenate Dense Dropout ELU Flatten GaussianDropout GaussianNoise "
    "Identity InputLayer LeakyReLU LocalResponseNormalization Maximum Minimum Multiply Normalization PReLU ReLU Relu "
    "Rescaling SpatialDropout1D SpatialDropout2D SpatialDropout3D Subtract".split()
)
"""Operations whose every value depends on the values at the same place only, over all channels."""
WINDOWS = ("Conv", "DepthwiseConv", "SeparableConv", "MaxPooling", "AveragePooling")


@dataclass(frozen=True)
class Axis:
    """The receptive field along one axis, in input pixels."""

    start: int = 0
    """Where the field of the first value begins; negative inside the padding."""
    size: int = 1
    jump: int = 1
    """The distance between the fields of two neighbouring values."""


@dataclass(frozen=True)
class Field:
    """The receptive field of one value of an activation."""

    axes: tuple[Axis, ...] = ()
    """One for each axis of the image or signal."""
    whole: bool = False
    """Every value depends on all of the input."""

    def __str__(self) -> str:
        return "all" if self.whole else "x".join(str(axis.size) for axis in self.axes)


WHOLE = Field(whole=True)


def field_after(operation: Any, fields: Sequence[Field | None], shape: tuple[int, ...]) -> Field | None:
    """Return the field of an operation's output, or None where it is not known.

    Args:
        operation: a Keras layer or operation.
        fields: those of its inputs.
        shape: of one value of its first input, without the batch.
    """
    if not fields or any(field is None for field in fields):
        return None
    field = _union([field for field in fields if field is not None])
    kind = type(operation).__name__
    if field is None or (kind == "Concatenate" and operation.axis not in (-1, len(shape))):
        return None
    if kind.startswith("Global") or (kind == "Dense" and len(shape) == 1):
        return WHOLE
    if kind in POINTWISE or field.whole:
        return field
    window = _window(kind, operation, shape)
    if window is None or len(window) != len(field.axes):
        return None
    return Field(tuple(_through(axis, *along) for axis, along in zip(field.axes, window, strict=True)))


def _union(fields: list[Field]) -> Field | None:
    """The field of values that depend on several activations at the same place."""
    if any(field.whole for field in fields):
        return WHOLE
    axes = []
    for along in zip(*(field.axes for field in fields), strict=True):
        if len({axis.jump for axis in along}) > 1:
            return None
        start = min(axis.start for axis in along)
        axes.append(Axis(start, max(axis.start + axis.size for axis in along) - start, along[0].jump))
    return Field(tuple(axes))


def _window(kind: str, operation: Any, shape: tuple[int, ...]) -> list[tuple[int, int, int]] | None:
    """(reach, stride, padding before) along each axis; reach is the window's size less one, None if it has none."""
    if kind.startswith("ZeroPadding"):
        padding = operation.padding if kind != "ZeroPadding1D" else [operation.padding]
        return [(0, 1, before) for before, _ in padding]
    if kind == "Pad":
        return [(0, 1, before) for before, _ in operation.pad_width[1:-1]]
    if not kind.rstrip("123D").endswith(WINDOWS) or operation.data_format != "channels_last":
        return None
    sizes = operation.pool_size if "Pooling" in kind else operation.kernel_size
    dilations = getattr(operation, "dilation_rate", (1,) * len(sizes))
    window = []
    for length, size, stride, dilation in zip(shape, sizes, operation.strides, dilations, strict=False):
        reach = (size - 1) * dilation
        window.append((reach, stride, _padding_before(operation.padding, length, reach, stride)))
    return window


def _padding_before(padding: str, length: int, reach: int, stride: int) -> int:
    """Keras's padding before the first value: half of what "same" needs, rounded down."""
    if padding == "valid":
        return 0
    if padding == "causal":
        return reach
    return max(0, ((length - 1) // stride) * stride + reach + 1 - length) // 2


def _through(axis: Axis, reach: int, stride: int, before: int) -> Axis:
    return Axis(axis.start - before * axis.jump, axis.size + reach * axis.jump, axis.jump * stride)
