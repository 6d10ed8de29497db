"""Residual networks for ImageNet and for CIFAR-10, also with squeeze and excitation.

Source: K. He et al., Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385.
"""

from typing import Any

import keras
from keras import layers

from hpcdl.train.models.se_resnet import recalibrate
from hpcdl.values import Positive

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of the four stages, by depth; from 50 layers on a block is a bottleneck of three convolutions."""


def resnet(
    input_shape: tuple[int, int, int],
    depth: int,
    zero_init_residual: bool = False,
    stride_in_1x1: bool = False,
    squeeze_ratio: Positive | None = None,
) -> tuple[Any, Any]:
    """The networks for ImageNet; where the size changes, the shortcut is a 1x1 convolution (option B).

    keras.applications has the deeper three with a bias before every batch normalisation, which takes it away again:
    25,583,592 trained parameters in ResNet-50 where this has 25,557,032.

    Args:
        input_shape: (height, width, channels), at least 32x32.
        depth: 18, 34, 50, 101 or 152.
        zero_init_residual: every block begins as the identity, by a zero in its last normalisation
            (Goyal et al., https://arxiv.org/abs/1706.02677, section 5.1).
        stride_in_1x1: bottlenecks go down in their first convolution, as in the paper, and not in the 3x3 one, as most
            do since (called v1.5). Fewer multiply-adds, a little less accuracy.
        squeeze_ratio: of squeeze and excitation (SE-ResNet: 16), None for none.
    """
    images = layers.Input(input_shape)
    x = layers.ZeroPadding2D(3)(images)
    x = _normalized(_convolution(x, 64, 7, 2, padding="valid"))
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, 2)(x)
    for stage, blocks in enumerate(BLOCKS[depth]):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            maps = 64 * 2**stage
            if depth < 50:
                path, out = [(maps, 3, strides), (maps, 3, 1)], maps
            else:
                first, second = (strides, 1) if stride_in_1x1 else (1, strides)
                path, out = [(maps, 1, first), (maps, 3, second), (4 * maps, 1, 1)], 4 * maps
            shortcut = x
            if x.shape[-1] != out:
                shortcut = _normalized(_convolution(x, out, 1, strides), activation=False)
            x = _block(x, shortcut, path, zero_init_residual, squeeze_ratio)
    return images, layers.GlobalAveragePooling2D()(x)


def resnet_cifar(
    input_shape: tuple[int, int, int],
    depth: int,
    residual: bool = True,
    zero_init_residual: bool = False,
    squeeze_ratio: Positive | None = None,
) -> tuple[Any, Any]:
    """The networks for CIFAR-10: three stages of 16, 32 and 64 maps (section 4.2 of the paper).

    Where the size changes, the shortcut takes every second pixel and adds maps of zeros (option A): a residual network
    has as many parameters as the plain one.

    Args:
        input_shape: (height, width, channels), at least 4x4; (32, 32, 3) for CIFAR-10.
        depth: 6 n + 2 for n blocks in each stage.
        residual: false for the plain network without shortcuts.
        zero_init_residual, squeeze_ratio: as in `resnet`.
    """
    images = layers.Input(input_shape)
    x = _normalized(_convolution(images, 16, 3))
    for stage in range(3):
        for block in range((depth - 2) // 6):
            strides, maps = (2 if stage and not block else 1), 16 * 2**stage
            shortcut = x if residual else None
            if residual and strides == 2:
                every_second = layers.MaxPooling2D(1, 2)(x)
                shortcut = keras.ops.pad(every_second, ((0, 0), (0, 0), (0, 0), (maps // 4, maps // 4)))
            x = _block(x, shortcut, [(maps, 3, strides), (maps, 3, 1)], zero_init_residual, squeeze_ratio)
    return images, layers.GlobalAveragePooling2D()(x)


def _block(x: Any, shortcut: Any, path: list[tuple[int, int, int]], zero_init: bool, squeeze_ratio: int | None) -> Any:
    """One block: convolutions given as (maps, size, strides), the shortcut added before the last activation."""
    *inner, last = path
    for convolution in inner:
        x = _normalized(_convolution(x, *convolution))
    x = _normalized(_convolution(x, *last), activation=False, zero_init=zero_init and shortcut is not None)
    if squeeze_ratio:
        x = recalibrate(x, squeeze_ratio)
    return layers.ReLU()(x if shortcut is None else layers.Add()([shortcut, x]))


def _convolution(x: Any, maps: int, size: int, strides: int = 1, padding: str = "same") -> Any:
    """A convolution without bias, since a normalisation follows, padded alike on both sides as in the papers.

    Keras's "same" would put the odd row of zeros of a stride 2 at the end only.
    """
    if padding == "same" and strides > 1 and size > 1:
        x, padding = layers.ZeroPadding2D(size // 2)(x), "valid"
    return layers.Conv2D(maps, size, strides, padding=padding, use_bias=False, kernel_initializer="he_normal")(x)


def _normalized(x: Any, activation: bool = True, zero_init: bool = False) -> Any:
    """Batch normalisation with the constants of Goyal et al., and the activation."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer="zeros" if zero_init else "ones")(x)
    return layers.ReLU()(x) if activation else x
