"""A moving average of the weights, which is often the better model: it is evaluated and saved in their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from hpcdl.train.horovod import parameters


class WeightAverage:
    """The moving averages of a model's trainable weights and of its batch normalisations' statistics.

    After step t (from 1): average = d average + (1 - d) weight with d = min(decay, (1 + t) / (10 + t)), as
    tf.train.ExponentialMovingAverage does with a number of updates: the random weights of the start are soon forgotten.
    The statistics are averaged with the weights that they belong to.
    """

    def __init__(self, model: keras.Model, decay: float):
        statistics = [v for v in model.non_trainable_variables if not v.path.endswith("seed_generator_state")]
        others = [*parameters(model), *(variable for metric in model.metrics for variable in metric.variables)]
        statistics = [v for v in statistics if id(v) not in set(map(id, others))]
        self._decay = decay
        self._weights = [*model.trainable_variables, *statistics]
        averages = [keras.Variable(v.value.numpy(), dtype=v.dtype, trainable=False) for v in self._weights]
        self.shared = averages[: len(model.trainable_variables)]
        """Averages of the trainable weights: equal on all ranks."""
        self.own = averages[len(model.trainable_variables) :]
        """Averages of statistics: each rank's own, until they are averaged over the ranks."""

    def update(self, step: Any) -> None:
        """Take up the weights after `step` steps; part of the graph of a step."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1 + step) / (10 + step))
        for weight, average in zip(self._weights, [*self.shared, *self.own], strict=True):
            average.assign_sub((1 - tf.cast(decay, average.dtype)) * (average.value - weight.value))

    def restart(self) -> None:
        """Begin with the weights as they are now: after a broadcast."""
        for weight, average in zip(self._weights, [*self.shared, *self.own], strict=True):
            average.assign(weight.value)

    def exchange(self) -> None:
        """Put the averages into the model, and its weights in their place."""
        for weight, average in zip(self._weights, [*self.shared, *self.own], strict=True):
            value = tf.identity(weight.value)
            weight.assign(average.value)
            average.assign(value)


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Within this context the model has its averaged weights, if it keeps an average."""
    if model.average is None:
        yield
        return
    model.average.exchange()
    try:
        yield
    finally:
        model.average.exchange()
