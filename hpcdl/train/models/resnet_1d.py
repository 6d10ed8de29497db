"""A residual network for signals."""

from typing import Any

import keras
from keras import layers

from hpcdl.values import Fraction, Positive

NUM_BLOCKS = 16


def resnet34_1d(
    input_shape: tuple[int, int], maps: Positive = 32, kernel_size: Positive = 16, dropout: Fraction = 0.2
) -> tuple[Any, Any]:
    """33 convolutions in 16 blocks, normalised before the activation, and the last layer: rhythms of the heart.

    Every second block halves the length of the signal, every fourth doubles the maps. The paper predicts a class for
    every 256 samples; here the mean over the time goes to the last layer, for one class of the whole signal.

    Args:
        input_shape: (num_samples, num_channels), at least 256 samples; (6000, 1) for 30 s of one lead at 200 Hz.
        maps: of the first blocks.
        kernel_size: of all convolutions, in samples.
        dropout: in every block.

    Source: A. Hannun et al., Cardiologist-level arrhythmia detection and classification in ambulatory
    electrocardiograms using a deep neural network, Nature Medicine 25, 2019; the first version of the network is
    P. Rajpurkar et al., https://arxiv.org/abs/1707.01836.
    """

    def convolution(x: Any, maps: int, strides: int = 1) -> Any:
        return layers.Conv1D(maps, kernel_size, strides, padding="same", kernel_initializer="he_normal")(x)

    def activated(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))

    signals = layers.Input(input_shape)
    x = activated(convolution(signals, maps))
    for block in range(NUM_BLOCKS):
        strides = 1 + block % 2
        shortcut = layers.MaxPooling1D(strides, padding="same")(x) if strides > 1 else x
        if block and block % 4 == 0:
            maps *= 2
            shortcut = keras.ops.pad(shortcut, ((0, 0), (0, 0), (0, maps // 2)))
        if block:
            x = activated(x)
        x = convolution(x, maps, strides)
        x = layers.Dropout(dropout)(activated(x))
        x = layers.Add()([shortcut, convolution(x, maps)])
    return signals, layers.GlobalAveragePooling1D()(activated(x))
