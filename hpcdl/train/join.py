"""Variables that join a training later than others, or learn slower: what an optimizer must know of them."""

from typing import Any, NamedTuple

import tensorflow as tf


class Join(NamedTuple):
    """When a variable joins, and how fast it learns then."""

    step: int = 0
    """The first step of the run, from 0, in which the optimizer gets a gradient of it."""
    factor: float = 1.0
    """What the learning rate is multiplied by for it."""


class Joining:
    """For an optimizer: each variable counts its own steps and has a learning rate of its own.

    Adam and LAMB correct their means for the zeros that they begin with, by the number of steps. A variable that joins
    at step 1000 begins with zeros then: by the run's number its first steps would be three times too long.
    """

    joins: tuple[Join, ...] = ()
    """By the place of a variable in the optimizer; empty where all have been there from the first step."""

    def steps_of(self: Any, variable: Any) -> Any:
        """Return the number of this step among those of a variable, from 1."""
        step = self.iterations + 1
        if not self.joins or not self.joins[self._get_variable_index(variable)].step:
            return step
        # With a dynamic loss scale some steps of the run are no steps of the optimizer, and its count stays behind.
        return tf.maximum(step - self.joins[self._get_variable_index(variable)].step, 1)

    def rate_of(self: Any, variable: Any, learning_rate: Any) -> Any:
        """Return the learning rate of a variable."""
        factor = self.joins[self._get_variable_index(variable)].factor if self.joins else 1.0
        return learning_rate if factor == 1 else learning_rate * factor

    def _apply_weight_decay(self: Any, variables: list[Any]) -> None:
        """Keras takes it off in proportion to the learning rate: to each variable's own."""
        if not self.joins or self.weight_decay is None:
            super()._apply_weight_decay(variables)  # type: ignore[misc]
            return
        for variable in filter(self._use_weight_decay, variables):
            rate = tf.cast(self.rate_of(variable, self.learning_rate), variable.dtype)
            self.assign_sub(variable, variable * self.weight_decay * rate)
