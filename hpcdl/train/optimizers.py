"""The optimizers by name: Keras's own, and LARS and LAMB, each step of which is sized layer by layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from hpcdl.train import fused
from hpcdl.train.join import Join, Joining
from hpcdl.training import Optimizer


def make_optimizer(
    optimizer: Optimizer, rate: Any, precision: str, variables: list[Any], joins: Sequence[Join] = ()
) -> Any:
    """Return the Keras optimizer.

    Args:
        rate: the learning rate or its schedule.
        precision: float16 gets Keras's dynamic loss scale.
        variables: the model's trainable variables, from which `weight_decay_on` chooses.
        joins: when each of them joins the training; left out, all are there from the first step.
    """
    made: Any = OPTIMIZERS[optimizer.name](learning_rate=rate, **optimizer.arguments)
    if optimizer.weight_decay_on == "kernels":
        made.exclude_from_weight_decay(var_list=[variable for variable in variables if not is_kernel(variable)])
    made.joins = tuple(joins)
    if optimizer.bias_factor != 1:
        _set_bias_factor(made, optimizer.bias_factor)
    return keras.optimizers.LossScaleOptimizer(made) if precision == "float16" else made


def is_kernel(variable: Any) -> bool:
    """Whether a variable is a kernel: biases and the parameters of normalisations have one dimension."""
    return len(variable.shape) > 1


def _set_bias_factor(optimizer: Any, factor: float) -> None:
    step = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        step(gradient, variable, learning_rate if is_kernel(variable) else factor * learning_rate)

    optimizer.update_step = update_step


class _LayerWise(Joining, keras.optimizers.Optimizer):
    """Weight decay is part of a layer's step and never touches biases and the parameters of normalisations."""

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Keras would take it off before the step."""

    def _decay(self, variable: Any) -> float:
        return self.weight_decay or 0.0 if is_kernel(variable) else 0.0


@keras.saving.register_keras_serializable("hpcdl")
class LARS(_LayerWise):
    """Momentum with layer-wise adaptive rates: a layer's step is in proportion to the norm of its weights.

        local rate = trust_coefficient |w| / (|g| + weight_decay |w| + epsilon)
        v = momentum v + learning_rate local_rate (g + weight_decay w)
        w = w - v

    Source: Y. You, I. Gitman, B. Ginsburg, https://arxiv.org/abs/1708.03888, algorithm 1; epsilon is 0 there. Biases
    and the parameters of normalisations take plain steps: their local rate is 1, without decay. The local rate of a
    layer is 1 too while its weights are all zero.

    Args:
        learning_rate: or a schedule; several times that of plain momentum, 0.1..30, since the local rate is small.
    """

    def __init__(
        self,
        learning_rate: Any = 1.0,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
        epsilon: float = 0.0,
        weight_decay: float | None = None,
        name: str = "lars",
        **keywords: Any,
    ):
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, name=name, **keywords)
        self.momentum, self.trust_coefficient, self.epsilon = momentum, trust_coefficient, epsilon

    def build(self, variables: list[Any]) -> None:
        if not self.built:
            super().build(variables)
            (self._momentums,) = self.add_optimizer_variables(variables, ["momentum"])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        learning_rate = self.rate_of(variable, learning_rate)
        rate, gradient = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        decay = self._decay(variable)
        if is_kernel(variable):
            weight_norm = _norm(variable)
            divisor = _norm(gradient) + decay * weight_norm + self.epsilon
            rate = rate * _ratio(self.trust_coefficient * weight_norm, divisor)
        velocity = self._momentums[self._get_variable_index(variable)]
        self.assign(velocity, self.momentum * velocity + rate * (gradient + decay * variable))
        self.assign_sub(variable, velocity)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("momentum", "trust_coefficient", "epsilon")}
        return super().get_config() | own


@keras.saving.register_keras_serializable("hpcdl")
class LAMB(_LayerWise):
    """Adam with layer-wise adaptive rates: a layer's step has the norm of its weights.

        r = m' / (sqrt(v') + epsilon) + weight_decay w       with Adam's m' and v', corrected for their zero start
        w = w - learning_rate |w| / |r| r

    Source: Y. You et al., https://arxiv.org/abs/1904.00962, algorithm 2. Biases and the parameters of normalisations
    take Adam's steps, without decay. Keras's own Lamb takes weight decay off beside the step, which the paper does not,
    and adapts biases too.

    Args:
        learning_rate: or a schedule.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        weight_decay: float | None = None,
        name: str = "lamb",
        **keywords: Any,
    ):
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, name=name, **keywords)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables: list[Any]) -> None:
        if not self.built:
            super().build(variables)
            self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        learning_rate = self.rate_of(variable, learning_rate)
        rate, gradient = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        step = ops.cast(self.steps_of(variable), variable.dtype)
        index = self._get_variable_index(variable)
        mean, square = self._momentums[index], self._velocities[index]
        self.assign_add(mean, (gradient - mean) * (1 - self.beta_1))
        self.assign_add(square, (ops.square(gradient) - square) * (1 - self.beta_2))
        corrected = mean / (1 - ops.power(ops.cast(self.beta_1, variable.dtype), step))
        spread = ops.sqrt(square / (1 - ops.power(ops.cast(self.beta_2, variable.dtype), step)))
        update = corrected / (spread + self.epsilon) + self._decay(variable) * variable
        if is_kernel(variable):
            rate = rate * _ratio(_norm(variable), _norm(update))
        self.assign_sub(variable, rate * update)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {name: getattr(self, name) for name in ("beta_1", "beta_2", "epsilon")}


class RMSprop(Joining, keras.optimizers.RMSprop):
    """keras.optimizers.RMSprop, some variables of which may learn slower."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, self.rate_of(variable, learning_rate))


OPTIMIZERS = {
    "adam": fused.Adam,
    "adamw": fused.AdamW,
    "sgd": fused.SGD,
    "rmsprop": RMSprop,
    "lars": LARS,
    "lamb": LAMB,
}


def _norm(tensor: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(tensor)))


def _ratio(weights: Any, step: Any) -> Any:
    """The quotient of two norms, 1 where one of them is zero."""
    known = ops.logical_and(weights > 0, step > 0)
    return ops.where(known, weights / ops.where(known, step, 1.0), 1.0)
