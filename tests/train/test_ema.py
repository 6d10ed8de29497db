"""The moving average of the weights against NumPy, and what is evaluated and saved of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.train.ema import WeightAverage, averaged
from hpcdl.train.horovod import HorovodModel, weight_hash


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.layers.Input((4,))
    x = keras.layers.BatchNormalization(momentum=0.8)(keras.layers.Dense(5)(inputs))
    x = keras.layers.Dropout(0.5)(x)
    model = HorovodModel(inputs, keras.layers.Dense(3, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.5), "categorical_crossentropy", metrics=["accuracy"])
    model.average = WeightAverage(model, 0.6)
    return model


def kept(model):
    """Weights and statistics, without the states of the dropout's random numbers."""
    return [
        v.value.numpy() for v in model.variables if "seed" not in v.path and v.path.split("/")[0] in model_layers(model)
    ]


def model_layers(model):
    return {layer.name for layer in model.layers}


def step(model, seed):
    inputs = tf.random.stateless_normal((8, 4), [seed, 1])
    model.train_step((inputs, tf.eye(8, 3)))


def test_the_average_follows_weights_and_statistics_by_the_formula(model):
    average = kept(model)
    for number in range(1, 9):
        step(model, number)
        decay = min(0.6, (1 + number) / (10 + number))
        average = [decay * old + (1 - decay) * new for old, new in zip(average, kept(model), strict=True)]
    before = kept(model)
    with averaged(model):
        for mine, expected in zip(kept(model), average, strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)
    for after, mine in zip(kept(model), before, strict=True):
        np.testing.assert_array_equal(after, mine)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, average, strict=True))


def test_weights_come_back_when_the_evaluation_fails(model):
    step(model, 1)
    before = kept(model)
    with pytest.raises(RuntimeError), averaged(model):
        raise RuntimeError
    for after, mine in zip(kept(model), before, strict=True):
        np.testing.assert_array_equal(after, mine)


def test_the_hash_of_the_weights_sees_the_average(model):
    step(model, 1)
    before = weight_hash(model)
    model.average.shared[0].assign(model.average.shared[0].value + 1)
    assert weight_hash(model) != before


def test_a_model_without_an_average_is_evaluated_as_it_is(model):
    model.average = None
    before = kept(model)
    with averaged(model):
        for mine, now in zip(before, kept(model), strict=True):
            np.testing.assert_array_equal(now, mine)
