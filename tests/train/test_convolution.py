"""Convolutions with products for their kernels' gradients do what Keras's own do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.train.layers.faster import use_faster_layers

FILTER_GRADIENT = "Conv2DBackpropFilter"
BFLOAT16 = "mixed_bfloat16"


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


ONE_PIXEL = [((3, *size, 4), 5, 1, strides) for size in ((8, 6), (7, 5)) for strides in (1, 2)]
MANY_CHANNELS = [((3, 8, 8, 128), 128, kernel_size, 1) for kernel_size in (3, 2, (1, 4))]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("shape", "filters", "kernel_size", "strides"), ONE_PIXEL + MANY_CHANNELS)
def test_the_products_are_the_gradient_of_the_convolution(shape, filters, kernel_size, strides, padding, monkeypatch):
    case = (shape, BFLOAT16, filters, kernel_size, strides, padding)
    ours, operations = step_of(*case, activation="relu")
    assert FILTER_GRADIENT not in operations
    assert "MatMul" in operations
    monkeypatch.setattr("hpcdl.train.layers.faster.FASTER", {})
    keras_own, operations = step_of(*case, activation="relu")
    assert FILTER_GRADIENT in operations
    for found, wanted in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=3e-2 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("shape", "policy", "arguments"),
    [
        ((2, 8, 8, 4), "float32", {"filters": 6, "kernel_size": 1}),
        ((2, 8, 8, 4), BFLOAT16, {"filters": 6, "kernel_size": 1, "strides": (1, 2)}),
        ((2, 8, 8, 128), BFLOAT16, {"filters": 127, "kernel_size": 3}),
        ((2, 9, 8, 128), BFLOAT16, {"filters": 128, "kernel_size": 3, "padding": "same"}),
        ((2, 8, 8, 128), BFLOAT16, {"filters": 128, "kernel_size": 3, "strides": 2}),
        ((2, 8, 8, 128), BFLOAT16, {"filters": 128, "kernel_size": 3, "dilation_rate": 2}),
        ((2, 8, 8, 128), BFLOAT16, {"filters": 256, "kernel_size": 1, "groups": 2}),
    ],
)
def test_other_convolutions_are_left_to_keras(shape, policy, arguments):
    _, operations = step_of(shape, policy, **arguments)
    assert "MatMul" not in operations


def test_a_saved_model_holds_keras_own_layer(tmp_path):
    images = keras.Input((4, 4, 3))
    model = keras.Model(images, keras.layers.Conv2D(2, 1)(images))
    use_faster_layers(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[1]) is keras.layers.Conv2D
    inputs = tf.ones((1, 4, 4, 3))
    assert (loaded(inputs) == model(inputs)).numpy().all()
