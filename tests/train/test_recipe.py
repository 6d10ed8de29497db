"""Learning rates, augmentation and precision, against what they are defined to be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.train import recipe
from hpcdl.training import Augmentation, Optimizer, Schedule


def test_one_cycle_rises_by_a_cosine_and_falls_by_a_longer_one():
    rate = recipe.OneCycle(highest=0.01, steps=101, warmup=0.3, start=0.04, end=0.0004)
    rates = np.array([float(rate(step)) for step in range(110)])
    np.testing.assert_allclose(rates[[0, 15, 30, 65, 100]], [0.0004, 0.0052, 0.01, 0.005002, 0.000004], rtol=1e-5)
    assert rates.argmax() == 30
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:101]) < 0).all()
    np.testing.assert_allclose(rates[100:], rates[100], rtol=1e-3, err_msg="it stays where it ended")


def test_the_optimizer_is_keras_own_with_the_jobs_arguments():
    made = recipe.make_optimizer(
        Optimizer(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True), Schedule(), "float32", steps=10
    )
    assert type(made) is keras.optimizers.SGD
    assert (float(made.learning_rate), made.momentum, made.nesterov) == (pytest.approx(0.1), 0.9, True)
    assert isinstance(
        recipe.make_optimizer(Optimizer(), Schedule(), "float16", steps=10), keras.optimizers.LossScaleOptimizer
    )


def test_a_shift_moves_whole_images_and_fills_with_zeros():
    image = np.arange(1, 26, dtype=np.uint8).reshape(1, 5, 5, 1)
    images = tf.constant(np.repeat(image, 200, axis=0))
    moved = np.array(recipe.augment(images, Augmentation(shift=1), tf.constant([1, 2]), 0, 200))
    padded = np.pad(image[0, :, :, 0], 1)
    windows = {padded[y : y + 5, x : x + 5].tobytes(): (y, x) for y in range(3) for x in range(3)}
    seen = [windows[one.tobytes()] for one in moved[..., 0]]  # a KeyError here: something else than a shift
    assert set(seen) == set(windows.values()), "200 images see all nine shifts"


def test_the_same_global_batch_is_shifted_alike_on_any_number_of_ranks():
    images = tf.constant(np.random.default_rng(1).integers(0, 256, (12, 9, 9, 1), np.uint8))
    seed, shift = tf.constant([5, 77]), Augmentation(shift=2)
    whole = np.array(recipe.augment(images, shift, seed, 0, 12))
    parts = [np.array(recipe.augment(images[first : first + 4], shift, seed, first, 12)) for first in (0, 4, 8)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    other_step = np.array(recipe.augment(images, shift, tf.constant([5, 78]), 0, 12))
    assert (other_step != whole).any()
