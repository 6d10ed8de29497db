"""Batch normalisation in one kernel does what Keras's own does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.train.layers.faster import use_faster_layers

INPUTS = np.random.default_rng(1).normal(2, 3, (8, 5, 4, 6)).astype(np.float32)


def normalizing(inputs, policy, **arguments):
    """A model of Keras's layer and the same with the kernel, their statistics and weights not those of the start."""
    images = keras.Input(inputs.shape[1:])
    layer = keras.layers.BatchNormalization(momentum=0.6, dtype=keras.DTypePolicy(policy), **arguments)
    theirs = keras.Model(images, layer(images))
    ours = keras.models.clone_model(theirs)
    use_faster_layers(ours)
    for model in (theirs, ours):
        chance = np.random.default_rng(2)
        model.set_weights([chance.uniform(0.5, 2, weight.shape) for weight in model.get_weights()])
    return theirs, ours


def all_of_it(model, inputs):
    """Outputs, gradients and weights of a step in training, and outputs after it."""
    inputs = tf.constant(inputs)
    wanted = tf.random.stateless_normal(inputs.shape, [1, 2])
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * wanted)
    gradients = tape.gradient(loss, [inputs, *variables])
    found = [outputs, *gradients, *model.get_weights(), model(inputs, training=False)]
    return [np.array(tf.cast(value, tf.float32)) for value in found]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        (INPUTS, {}),
        (INPUTS, {"scale": False}),
        (INPUTS, {"center": False, "epsilon": 0.1}),
        (INPUTS[:1, :1, :2], {}),  # two values of each channel: their variance is not the population's
        (INPUTS, {"axis": 1}),  # what the kernel does not do
        (INPUTS[:, 0], {}),
    ],
)
def test_the_kernel_does_what_keras_does(inputs, arguments, policy):
    theirs, ours = normalizing(inputs, policy, **arguments)
    assert type(ours.layers[1]) is not type(theirs.layers[1])
    for found, wanted in zip(all_of_it(ours, inputs), all_of_it(theirs, inputs), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5 if policy == "float32" else 1e-2, atol=5e-5)


def test_a_frozen_layer_keeps_its_statistics():
    theirs, ours = normalizing(INPUTS, "float32")
    for model in (theirs, ours):
        model.layers[1].trainable = False
    for found, wanted in zip(all_of_it(ours, INPUTS), all_of_it(theirs, INPUTS), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_saved_model_has_keras_own_layer(tmp_path):
    _, ours = normalizing(INPUTS, "float32")
    ours.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[1]) is keras.layers.BatchNormalization
    np.testing.assert_allclose(np.array(loaded(INPUTS)), np.array(ours(INPUTS)), rtol=1e-5, atol=1e-5)
