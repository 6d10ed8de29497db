"""A variable that joins a training late is stepped as by an optimizer that begins with it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.train.join import Join
from hpcdl.train.optimizers import OPTIMIZERS, make_optimizer
from hpcdl.training import Optimizer

ARGUMENTS = {"sgd": {"momentum": 0.9}, "rmsprop": {}, "adam": {}, "adamw": {}, "lars": {}, "lamb": {}}
FIRST = 3
"""The step at which the second variable joins."""


def made(name: str, joins=(), rate=0.1) -> keras.optimizers.Optimizer:
    given = Optimizer.model_validate({"name": name, "learning_rate": rate, **ARGUMENTS[name]})
    return make_optimizer(given, rate, "float32", [], joins)


def gradient(step: int, place: int) -> tf.Tensor:
    return tf.random.stateless_normal((4, 3), [step, place])


def variables() -> list[keras.Variable]:
    return [keras.Variable(np.random.default_rng(place).normal(size=(4, 3)), dtype="float32") for place in (0, 1)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_late_variable_begins_like_a_new_one(name):
    early, late = variables()
    optimizer = made(name, (Join(), Join(FIRST)))
    optimizer.build([early, late])
    began = late.numpy()
    for step in range(FIRST):
        optimizer.apply([gradient(step, 0)], [early])
    np.testing.assert_array_equal(late.numpy(), began)
    for step in range(FIRST, FIRST + 3):
        optimizer.apply([gradient(step, 0), gradient(step, 1)], [early, late])

    alone, other = variables()
    whole, new = made(name), made(name)
    whole.build([alone])
    new.build([other])
    for step in range(FIRST + 3):
        whole.apply([gradient(step, 0)], [alone])
    for step in range(FIRST, FIRST + 3):
        new.apply([gradient(step, 1)], [other])
    np.testing.assert_allclose(early, alone, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(late, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_factor_is_that_of_the_learning_rate(name):
    mine, slow = variables()
    optimizer, slower = made(name, (Join(), Join(0, 0.25))), made(name, rate=0.025)
    optimizer.build([mine, slow])
    (_, alone) = variables()
    slower.build([alone])
    for step in range(3):
        optimizer.apply([gradient(step, 0), gradient(step, 1)], [mine, slow])
        slower.apply([gradient(step, 1)], [alone])
    np.testing.assert_allclose(slow, alone, rtol=1e-5, atol=1e-6)


def test_steps_that_a_loss_scale_leaves_out_do_not_make_a_step_of_number_zero():
    early, late = variables()
    inner = made("adam", (Join(), Join(2)))
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0)
    optimizer.build([early, late])
    for step in range(2):
        optimizer.apply([gradient(step, 0) * np.inf], [early])
    optimizer.apply([2 * gradient(3, 0), 2 * gradient(3, 1)], [early, late])
    assert np.isfinite(late.numpy()).all()
    assert (late.numpy() != variables()[1].numpy()).all()
