"""The learning rate as a function of the step, and how it is scaled with the images of a step."""

import math
from typing import Any

import keras
import tensorflow as tf

from hpcdl.training import Optimizer, Schedule


def scale_factor(optimizer: Optimizer, batch_size: int, ranks: int) -> float:
    """Return by what the learning rate is multiplied for a step of `batch_size` images on each of `ranks` ranks.

    Linear in the images of a step: Goyal et al., https://arxiv.org/abs/1706.02677. By the square root: Krizhevsky,
    https://arxiv.org/abs/1404.5997.
    """
    if optimizer.scale == "none":
        return 1.0
    factor = batch_size * ranks / (optimizer.reference_batch or batch_size)
    return factor if optimizer.scale == "linear" else math.sqrt(factor)


def learning_rate(optimizer: Optimizer, schedule: Schedule, factor: float, steps: int, steps_per_epoch: int) -> Any:
    """Return the rate as Keras's optimizers take it: a number, or a schedule over steps from 0 to `steps` - 1.

    Args:
        factor: see `scale_factor`.
        steps: steps of the whole run.
    """
    highest = optimizer.learning_rate * factor
    if schedule.warmup_epochs is None:
        warmup = schedule.warmup if schedule.warmup is not None else 0.3 if schedule.name == "one_cycle" else 0.0
    else:
        warmup = min(schedule.warmup_epochs * steps_per_epoch / max(steps - 1, 1), 1.0)
    if schedule.name == "one_cycle":
        return OneCycle(highest, steps, warmup, _or(schedule.start, 0.04), _or(schedule.end, 0.0004))
    if schedule.name == "constant" and not warmup:
        return highest
    start = _or(schedule.start, 1 / factor if factor > 1 else 0.1)
    warmup_steps = round(warmup * max(steps - 1, 1))
    if schedule.name == "cosine":
        return Cosine(highest, warmup_steps, start, steps, _or(schedule.end, 0.0))
    boundaries = [round(epoch * steps_per_epoch) for epoch in schedule.milestones]
    return Steps(highest, warmup_steps, start, boundaries, _or(schedule.factor, 0.1))


@keras.saving.register_keras_serializable("hpcdl")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """The one-cycle learning rate: a cosine up to the highest rate and a longer cosine down.

    Source: L. Smith and N. Topin, Super-Convergence, https://arxiv.org/abs/1708.07120.

    Args:
        highest: the highest rate.
        steps: steps of the whole run; the rate stays at its last value after them.
        warmup: the part of the steps in which the rate rises, 0..1.
        start, end: the first and the last rate as parts of the highest one.
    """

    def __init__(self, highest: float, steps: int, warmup: float, start: float, end: float):
        self.highest, self.steps, self.warmup, self.start, self.end = highest, steps, warmup, start, end

    def __call__(self, step: Any) -> Any:
        position = tf.minimum(tf.cast(step, tf.float32) / max(self.steps - 1, 1), 1.0)
        rising = position / max(self.warmup, 1e-9)
        falling = (position - self.warmup) / max(1 - self.warmup, 1e-9)
        return self.highest * tf.where(
            position < self.warmup, _cosine(self.start, 1.0, rising), _cosine(1.0, self.end, falling)
        )

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("highest", "steps", "warmup", "start", "end")}


class _Warmed(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises on a line in its first steps; `part` says the rest, as a part of the highest rate."""

    highest: float
    warmup_steps: int
    start: float

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)
        rising = self.start + (1 - self.start) * step / max(self.warmup_steps, 1)
        return self.highest * tf.where(step < self.warmup_steps, rising, self.part(step))

    def part(self, step: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


@keras.saving.register_keras_serializable("hpcdl")
class Cosine(_Warmed):
    """A line up to the highest rate, then half a cosine down to the last one.

    Source: I. Loshchilov and F. Hutter, SGDR, https://arxiv.org/abs/1608.03983, without restarts.

    Args:
        highest: the highest rate, that of step `warmup_steps`.
        warmup_steps: steps in which the rate rises.
        start, end: the rates of step 0 (where it is warmed up) and of step `steps` - 1, as parts of the highest one.
        steps: steps of the whole run.
    """

    def __init__(self, highest: float, warmup_steps: int, start: float, steps: int, end: float):
        self.highest, self.warmup_steps, self.start, self.steps, self.end = highest, warmup_steps, start, steps, end

    def part(self, step: Any) -> Any:
        return _cosine(1.0, self.end, (step - self.warmup_steps) / max(self.steps - 1 - self.warmup_steps, 1))


@keras.saving.register_keras_serializable("hpcdl")
class Steps(_Warmed):
    """A line up to the highest rate, which is multiplied by `factor` at each boundary.

    Args:
        highest, warmup_steps, start: as in `Cosine`.
        boundaries: the first steps with the lower rates; none for a constant rate.
        factor: what the rate is multiplied by, 0..1.
    """

    def __init__(self, highest: float, warmup_steps: int, start: float, boundaries: list[int], factor: float):
        self.highest, self.warmup_steps, self.start = highest, warmup_steps, start
        self.boundaries, self.factor = list(boundaries), factor

    def part(self, step: Any) -> Any:
        passed = tf.reduce_sum(tf.cast(step >= tf.constant(self.boundaries, tf.float32), tf.float32))
        return tf.pow(self.factor, passed)


def _cosine(first: float, last: float, part: Any) -> Any:
    return last + (first - last) * (1 + tf.cos(math.pi * tf.clip_by_value(part, 0.0, 1.0))) / 2


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
