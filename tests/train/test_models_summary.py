"""Receptive fields and multiply-adds of single layers and of graphs, against counting and against gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from hpcdl.train.models.receptive_field import Axis, Field
from hpcdl.train.models.summary import rows

LENGTH = 64


def ones(x, size, **arguments):
    return layers.Conv1D(1, size, kernel_initializer="ones", use_bias=False, **arguments)(x)


def chain(x):
    x = ones(x, 3, padding="same")
    x = ones(x, 4, strides=3)
    return layers.AveragePooling1D(2, 1)(x)


def same_with_stride(x):
    return ones(ones(x, 5, strides=2, padding="same"), 4, strides=2, padding="same")


def dilated_and_causal(x):
    return ones(ones(x, 3, dilation_rate=4, padding="same"), 3, padding="causal", dilation_rate=2)


def padded(x):
    x = layers.ZeroPadding1D((3, 1))(x)
    x = ones(x, 7, strides=2)
    return keras.ops.pad(x, ((0, 0), (2, 0), (0, 0)))


def residual(x):
    x = ones(x, 3, padding="same")
    down = layers.AveragePooling1D(1, 2)(x)
    return layers.Add()([down, ones(layers.ZeroPadding1D(1)(x), 3, strides=2)])


def branches_of_other_places(x):
    """Two paths as long as each other, one looking left, one right: together they see more than either."""
    left = ones(layers.ZeroPadding1D((4, 0))(x), 5)
    right = ones(layers.ZeroPadding1D((0, 4))(x), 5)
    return layers.Concatenate()([left, right])


def model_in_a_model(x):
    inner = keras.Sequential(
        [layers.Input((LENGTH, 1)), layers.Conv1D(1, 3, padding="same", kernel_initializer="ones")]
    )
    return ones(inner(x), 3, padding="same", strides=2)


@pytest.mark.parametrize(
    "network",
    [chain, same_with_stride, dilated_and_causal, padded, residual, branches_of_other_places, model_in_a_model],
)
def test_a_receptive_field_is_where_the_gradient_is(network):
    """All weights are positive, so that every input that can matter does; each output is looked at."""
    signals = keras.Input((LENGTH, 1))
    model = keras.Model(signals, network(signals))
    (axis,) = list(rows(model))[-1].receptive_field.axes
    signal = tf.Variable(np.ones((1, LENGTH, 1), np.float32))
    with tf.GradientTape(persistent=True) as tape:
        output = tf.reduce_sum(model(signal), axis=(0, 2))
    jacobian = np.abs(tape.jacobian(output, signal, experimental_use_pfor=False).numpy()[:, 0, :, 0]) > 0
    seen = [np.flatnonzero(row) for row in jacobian]
    for position, places in enumerate(seen):
        first = axis.start + position * axis.jump
        inside = np.arange(max(first, 0), min(first + axis.size, LENGTH))
        assert set(places) <= set(inside), (position, axis)
        if len(inside) == axis.size:  # at the ends of the signal a dilated window may have its gaps
            assert (places.min(), places.max()) == (inside.min(), inside.max()), (position, axis)
    assert max(map(len, seen)) <= axis.size
    assert any(len(places) and places.max() - places.min() + 1 == axis.size for places in seen)


def field_of(*stack, shape=(32, 32, 3)):
    return list(rows(keras.Sequential([layers.Input(shape), *stack])))[-1].receptive_field


def test_the_axes_of_an_image_are_counted_apart():
    field = field_of(layers.Conv2D(4, (3, 1), strides=(2, 1)), layers.MaxPooling2D((2, 4)))
    assert field == Field((Axis(0, 5, 4), Axis(0, 4, 4)))
    assert str(field) == "5x4"


@pytest.mark.parametrize(
    "stack",
    [
        (layers.GlobalAveragePooling2D(),),
        (layers.Conv2D(2, 3), layers.GlobalMaxPooling2D(keepdims=True), layers.Conv2D(1, 1)),
        (layers.Flatten(), layers.Dense(3), layers.Dense(3)),
    ],
)
def test_after_a_global_pooling_or_a_dense_layer_all_of_the_input_is_seen(stack):
    assert field_of(*stack).whole
    assert str(field_of(*stack)) == "all"


def test_a_dense_layer_over_the_channels_sees_one_pixel():
    assert field_of(layers.Dense(7)) == Field((Axis(), Axis()))


@pytest.mark.parametrize(
    "stack",
    [
        (layers.Reshape((16, 64, 3)), layers.Conv2D(1, 3)),
        (layers.Lambda(lambda x: x, output_shape=(32, 32, 3)), layers.Conv2D(1, 3)),
        (layers.LayerNormalization(axis=(1, 2)),),
    ],
)
def test_what_is_not_known_is_not_guessed(stack):
    assert field_of(*stack) is None


def test_paths_of_unequal_jumps_have_no_field():
    images = keras.Input((32, 32, 3))
    small = layers.AveragePooling2D(2)(images)
    joined = layers.Concatenate(axis=1)([small, layers.Conv2D(3, 3, strides=2, padding="same")(images)])
    assert list(rows(keras.Model(images, joined)))[-1].receptive_field is None


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv1D(7, 5, padding="same"), (20, 3), 20 * 5 * 3 * 7),
        (layers.Conv2D(8, (3, 1), groups=2), (10, 9, 4), 8 * 9 * 3 * 2 * 8),
        (layers.Conv3D(2, 2), (4, 4, 4, 3), 27 * 8 * 3 * 2),
        (layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (6, 6, 5), 36 * 9 * 10),
        (layers.SeparableConv2D(4, 3, padding="same"), (6, 6, 5), 36 * (9 * 5 + 5 * 4)),
        (layers.Conv2DTranspose(4, 2, strides=2), (6, 6, 5), 36 * 4 * 5 * 4),
        (layers.Dense(11), (7,), 77),
        (layers.Dense(11), (3, 7), 3 * 77),
        (layers.BatchNormalization(), (3, 3, 7), 0),
        (layers.MaxPooling2D(2), (4, 4, 7), 0),
        (layers.LSTM(3), (4, 7), None),
    ],
)
def test_multiply_adds_of_a_layer(layer, shape, expected):
    assert list(rows(keras.Sequential([layers.Input(shape), layer])))[-1].multiply_adds == expected


def test_a_shared_layer_works_twice_and_has_its_parameters_once():
    images = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    first, second = (row for row in rows(keras.Model(images, shared(shared(images)))) if row.layer.startswith("Conv"))
    assert (first.parameters, second.parameters) == (84, 0)
    assert first.multiply_adds == second.multiply_adds == 64 * 9 * 3 * 3
    assert (first.receptive_field.axes[0].size, second.receptive_field.axes[0].size) == (3, 5)


def test_running_statistics_are_no_parameters():
    (row,) = [row for row in rows(keras.Sequential([layers.Input((4, 4, 5)), layers.BatchNormalization()]))][1:]
    assert (row.parameters, row.statistics, row.size) == (10, 10, 80)


def test_a_layer_says_how_large_it_is():
    stack = [layers.Conv2D(20, (5, 3)), layers.MaxPooling2D(3, 2), layers.Flatten(), layers.Dense(7)]
    labels = [row.layer for row in rows(keras.Sequential([layers.Input((28, 28, 1)), *stack]))]
    assert labels == ["Input", "Conv2D 20 5x3", "MaxPooling2D 3x3 /2", "Flatten", "Dense 7"]
