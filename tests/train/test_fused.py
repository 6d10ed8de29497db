"""The optimizers that make a step in one operation make Keras's own step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcdl.train import fused

PAIRS = [
    ("Adam", {}),
    ("Adam", {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3, "amsgrad": True}),
    ("Adam", {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"weight_decay": 0.1}),
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {"global_clipnorm": 0.1, "use_ema": True, "ema_overwrite_frequency": 3}),
]


def weights_after(optimizer, dtype: str, steps: int = 7) -> list[np.ndarray]:
    """Return what `optimizer` makes of two variables in `steps` steps inside a loop of TensorFlow, as a run does."""
    random = np.random.default_rng(1)
    variables = [keras.Variable(random.normal(size=shape), dtype=dtype) for shape in ((5, 3), (3,))]
    gradients = [tf.constant(random.normal(size=(steps, *v.shape)), dtype) for v in variables]
    optimizer.build(variables)

    @tf.function(autograph=False)
    def run():
        def body(step):
            optimizer.apply([gradient[step] for gradient in gradients], variables)
            return step + 1

        tf.while_loop(lambda step: step < steps, body, [tf.constant(0)])

    run()
    assert int(optimizer.iterations) == steps
    return [v.numpy().astype(np.float64) for v in [*variables, *optimizer.variables[2:]]]


@pytest.mark.parametrize(("name", "arguments"), PAIRS)
@pytest.mark.parametrize(("dtype", "error"), [("float32", 2e-6), ("bfloat16", 0.0)])
def test_a_step_is_that_of_keras(name, arguments, dtype, error):
    rate = keras.optimizers.schedules.CosineDecay(0.1, 5)
    ours = weights_after(getattr(fused, name)(rate, **arguments), dtype)
    theirs = weights_after(getattr(keras.optimizers, name)(rate, **arguments), dtype)
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=error, atol=error)


def test_a_step_with_infinite_gradients_is_left_out_under_a_loss_scale():
    optimizer = keras.optimizers.LossScaleOptimizer(fused.Adam(0.1), initial_scale=8.0)
    variable = keras.Variable([1.0, 2.0])
    optimizer.build([variable])
    optimizer.apply([tf.constant([np.inf, 1.0])], [variable])
    np.testing.assert_array_equal(variable.numpy(), [1.0, 2.0])
    optimizer.apply([tf.constant([8.0, 8.0])], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.9, 1.9], rtol=1e-5)
