"""Learning rates step by step against NumPy, at their borders too, and their scaling with the ranks."""

import math

import keras
import numpy as np
import pytest

from hpcdl.train import schedules
from hpcdl.training import Optimizer, Schedule

STEPS, STEPS_PER_EPOCH = 101, 20


def rates(schedule: Schedule, factor=1.0, steps=STEPS, learning_rate=0.1):
    rate = schedules.learning_rate(Optimizer(learning_rate=learning_rate), schedule, factor, steps, STEPS_PER_EPOCH)
    return np.array([float(rate(step)) for step in range(steps + 9)]) if callable(rate) else rate


def cosine(first, last, parts):
    return last + (first - last) * (1 + np.cos(np.pi * parts)) / 2


def test_one_cycle_rises_by_a_cosine_and_falls_by_a_longer_one():
    got = rates(Schedule(name="one_cycle"), learning_rate=0.01)
    np.testing.assert_allclose(got[[0, 15, 30, 65, 100]], [0.0004, 0.0052, 0.01, 0.005002, 0.000004], rtol=1e-5)
    assert got.argmax() == 30
    assert (np.diff(got[:31]) > 0).all()
    assert (np.diff(got[30:101]) < 0).all()
    np.testing.assert_allclose(got[100:], got[100], rtol=1e-3, err_msg="it stays where it ended")


def test_a_constant_rate_is_a_number():
    assert rates(Schedule()) == 0.1
    assert rates(Schedule(), factor=8) == pytest.approx(0.8)


def test_a_cosine_goes_from_the_highest_to_the_last_rate():
    expected = cosine(0.1, 0.001, np.arange(STEPS) / 100)
    np.testing.assert_allclose(rates(Schedule(name="cosine", end=0.01))[:STEPS], expected, rtol=1e-5)
    ended = rates(Schedule(name="cosine"))
    np.testing.assert_allclose(ended[100:], 0, atol=1e-9)
    assert ended[0] == pytest.approx(0.1)


def test_a_cosine_after_a_warm_up_begins_at_its_end():
    got = rates(Schedule(name="cosine", warmup=0.2, start=0.25))
    np.testing.assert_allclose(got[:21], 0.1 * (0.25 + 0.75 * np.arange(21) / 20), rtol=1e-5)
    np.testing.assert_allclose(got[20:STEPS], cosine(0.1, 0, np.arange(81) / 80), atol=1e-7)


def test_steps_fall_after_their_epochs():
    got = rates(Schedule(name="step", milestones=[1, 2.5], factor=0.2))
    assert got[19] == pytest.approx(0.1)
    assert got[20] == pytest.approx(0.02)
    assert got[49] == pytest.approx(0.02)
    np.testing.assert_allclose(got[50:], 0.004, rtol=1e-5)


def test_a_warm_up_in_epochs_ends_with_them():
    got = rates(Schedule(name="step", milestones=[3], warmup_epochs=2, start=0.5))
    np.testing.assert_allclose(got[:41], 0.1 * (0.5 + 0.5 * np.arange(41) / 40), rtol=1e-5)
    np.testing.assert_allclose(got[41:60], 0.1, rtol=1e-6)
    assert got[60] == pytest.approx(0.01)


def test_goyals_warm_up_starts_at_the_rate_before_scaling():
    """0.1 for 256 images, 8192 of them in a step: from 0.1 to 3.2 in 5 epochs."""
    optimizer = Optimizer(name="sgd", learning_rate=0.1, scale="linear", reference_batch=256)
    factor = schedules.scale_factor(optimizer, batch_size=32, ranks=256)
    assert factor == 32
    schedule = Schedule(name="step", milestones=[30, 60, 80], warmup_epochs=5)
    rate = schedules.learning_rate(optimizer, schedule, factor, steps=90 * 156, steps_per_epoch=156)
    got = [float(rate(step)) for step in (0, 390, 780, 30 * 156 - 1, 30 * 156, 60 * 156, 80 * 156, 90 * 156)]
    np.testing.assert_allclose(got, [0.1, 1.65, 3.2, 3.2, 0.32, 0.032, 0.0032, 0.0032], rtol=1e-4)


def test_rates_scale_with_the_images_of_a_step():
    linear = Optimizer(learning_rate=0.1, scale="linear")
    assert schedules.scale_factor(linear, batch_size=64, ranks=4) == 4
    assert schedules.scale_factor(Optimizer(learning_rate=0.1), batch_size=64, ranks=4) == 1
    sqrt = Optimizer(learning_rate=0.1, scale="sqrt", reference_batch=128)
    assert schedules.scale_factor(sqrt, batch_size=64, ranks=8) == 2
    assert schedules.scale_factor(sqrt, batch_size=8, ranks=4) == 0.5


def test_an_unscaled_warm_up_starts_at_a_tenth():
    assert rates(Schedule(warmup=0.5))[0] == pytest.approx(0.01)
    assert rates(Schedule(warmup=0.5), factor=4)[0] == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle"])
def test_the_shortest_runs_have_finite_rates(name, steps):
    got = rates(Schedule(name=name, warmup=0.5), steps=steps)
    assert np.isfinite(got).all()
    assert (got >= 0).all()
    assert (got <= 0.1 + 1e-6).all()


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(name="one_cycle"),
        Schedule(name="cosine", warmup=0.1),
        Schedule(name="step", milestones=[1, 2]),
        Schedule(warmup=0.1),
    ],
    ids=lambda schedule: schedule.name,
)
def test_a_schedule_comes_back_from_its_config(schedule):
    rate = schedules.learning_rate(Optimizer(learning_rate=0.1), schedule, 2.0, STEPS, STEPS_PER_EPOCH)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    assert [float(again(step)) for step in range(STEPS)] == [float(rate(step)) for step in range(STEPS)]
    assert math.isfinite(float(again(0)))
