"""Convolutions of 1x1 pixels with a product for their kernels' gradients do what Keras's own do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.train.layers.faster import use_faster_layers

FILTER_GRADIENT = "Conv2DBackpropFilter"


def step_of(shape: tuple[int, ...], policy: str, *arguments, **more):
    """Return outputs and gradients, float32, of a model of one Conv2D, and the operations of its step."""
    keras.utils.set_random_seed(1)
    layer = keras.layers.Conv2D(*arguments, dtype=policy, **more)
    dtype = layer.compute_dtype
    images = keras.Input(shape[1:], dtype=dtype)
    model = keras.Model(images, layer(images))
    use_faster_layers(model)
    inputs = tf.cast(tf.random.stateless_normal(shape, [1, 2]), dtype)

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = model(inputs, training=True)
            wanted = tf.cast(tf.random.stateless_normal(tf.shape(outputs), [3, 4]), outputs.dtype)
            loss = tf.reduce_sum(tf.cast(outputs * wanted, tf.float32))
        return [outputs, *tape.gradient(loss, [inputs, *(v.value for v in model.trainable_variables)])]

    operations = [operation.type for operation in step.get_concrete_function(inputs).graph.get_operations()]
    return [np.array(tf.cast(tensor, tf.float32)) for tensor in step(inputs)], operations


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2])
def test_the_product_is_the_gradient_of_the_convolution(strides, padding, size, monkeypatch):
    case = ((3, *size, 4), "mixed_bfloat16", 5, 1, strides, padding)
    ours, operations = step_of(*case, activation="relu")
    assert FILTER_GRADIENT not in operations
    monkeypatch.setattr("hpcdl.train.layers.faster.FASTER", {})
    keras_own, operations = step_of(*case, activation="relu")
    assert FILTER_GRADIENT in operations
    for found, wanted in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "policy"),
    [
        ({"kernel_size": 1}, "float32"),
        ({"kernel_size": 3}, "mixed_bfloat16"),
        ({"kernel_size": 1, "strides": (1, 2)}, "mixed_bfloat16"),
    ],
)
def test_other_convolutions_are_left_to_keras(arguments, policy):
    _, operations = step_of((2, 8, 8, 4), policy, 6, **arguments)
    assert FILTER_GRADIENT in operations
