"""Each optimizer against its formula in NumPy, over several steps."""

import keras
import numpy as np
import pytest

from hpcdl.train.optimizers import LARS, make_optimizer
from hpcdl.training import Optimizer

STEPS = 6
RATE = 0.05


def weights():
    chance = np.random.default_rng(3)
    return {"kernel": chance.normal(size=(3, 4)), "bias": chance.normal(size=4)}


def gradients(scale=1.0):
    chance = np.random.default_rng(4)
    return [{"kernel": scale * chance.normal(size=(3, 4)), "bias": scale * chance.normal(size=4)} for _ in range(STEPS)]


def trained(optimizer: Optimizer, all_gradients, precision="float32"):
    """Return the weights after the steps, as the made optimizer takes them."""
    variables = [keras.Variable(value, dtype="float32", name=name) for name, value in weights().items()]
    made = make_optimizer(optimizer, optimizer.learning_rate, precision, variables)
    for gradient in all_gradients:
        made.apply([keras.ops.convert_to_tensor(value, "float32") for value in gradient.values()], variables)
    return dict(zip(weights(), [variable.value.numpy() for variable in variables], strict=True))


def reference(step, decay_before=0.0, decayed=("kernel", "bias"), all_gradients=None):
    """Return the weights after the steps of `step(weight, gradient, state, t, name)`, which returns what is added."""
    values, states = weights(), {"kernel": {}, "bias": {}}
    for t, gradient in enumerate(all_gradients or gradients(), start=1):
        for name in values:
            if name in decayed:
                values[name] = values[name] * (1 - RATE * decay_before)
            values[name] = values[name] + step(values[name], gradient[name], states[name], t, name)
    return values


def sgd(momentum, nesterov=False):
    def step(weight, gradient, state, t, name):
        state["m"] = momentum * state.get("m", 0) - RATE * gradient
        return momentum * state["m"] - RATE * gradient if nesterov else state["m"]

    return step


def rmsprop(rho, momentum, epsilon):
    def step(weight, gradient, state, t, name):
        state["v"] = rho * state.get("v", 0) + (1 - rho) * gradient**2
        state["m"] = momentum * state.get("m", 0) + RATE * gradient / np.sqrt(state["v"] + epsilon)
        return -state["m"]

    return step


def adam_update(gradient, state, t, beta_1, beta_2, epsilon):
    state["m"] = beta_1 * state.get("m", 0) + (1 - beta_1) * gradient
    state["v"] = beta_2 * state.get("v", 0) + (1 - beta_2) * gradient**2
    return state["m"] / (1 - beta_1**t) / (np.sqrt(state["v"] / (1 - beta_2**t)) + epsilon)


def adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Keras adds epsilon before the correction of v: the paper's "epsilon hat", at the end of its section 2."""

    def step(weight, gradient, state, t, name):
        return -RATE * adam_update(gradient, state, t, beta_1, beta_2, epsilon / np.sqrt(1 - beta_2**t))

    return step


def lars(momentum, trust, decay, epsilon=0.0):
    def step(weight, gradient, state, t, name):
        local = 1.0
        if name == "kernel":
            local = trust * norm(weight) / (norm(gradient) + decay * norm(weight) + epsilon)
            gradient = gradient + decay * weight
        state["v"] = momentum * state.get("v", 0) + RATE * local * gradient
        return -state["v"]

    return step


def lamb(beta_1, beta_2, epsilon, decay):
    def step(weight, gradient, state, t, name):
        update, trust = adam_update(gradient, state, t, beta_1, beta_2, epsilon), 1.0
        if name == "kernel":
            update = update + decay * weight
            trust = norm(weight) / norm(update)
        return -RATE * trust * update

    return step


def norm(array):
    return np.sqrt((array**2).sum())


CASES = {
    "sgd": ({"name": "sgd"}, reference(sgd(0))),
    "momentum": ({"name": "sgd", "momentum": 0.9}, reference(sgd(0.9))),
    "nesterov": ({"name": "sgd", "momentum": 0.9, "nesterov": True}, reference(sgd(0.9, nesterov=True))),
    "decay": ({"name": "sgd", "momentum": 0.9, "weight_decay": 0.1}, reference(sgd(0.9), 0.1)),
    "decay_on_kernels": (
        {"name": "sgd", "momentum": 0.9, "weight_decay": 0.1, "weight_decay_on": "kernels"},
        reference(sgd(0.9), 0.1, decayed=("kernel",)),
    ),
    "rmsprop": (
        {"name": "rmsprop", "rho": 0.8, "momentum": 0.5, "epsilon": 1e-3},
        reference(rmsprop(0.8, 0.5, 1e-3)),
    ),
    "adam": ({"name": "adam"}, reference(adam())),
    "adam_betas": ({"name": "adam", "beta_1": 0.7, "beta_2": 0.9}, reference(adam(0.7, 0.9))),
    "adamw": ({"name": "adamw", "weight_decay": 0.2}, reference(adam(), 0.2)),
    "adamw_on_kernels": (
        {"name": "adamw", "weight_decay": 0.2, "weight_decay_on": "kernels"},
        reference(adam(), 0.2, decayed=("kernel",)),
    ),
    "lars": (
        {"name": "lars", "momentum": 0.8, "trust_coefficient": 0.3, "weight_decay": 0.1},
        reference(lars(0.8, 0.3, 0.1)),
    ),
    "lars_epsilon": (
        {"name": "lars", "momentum": 0.8, "trust_coefficient": 0.3, "weight_decay": 0.1, "epsilon": 0.5},
        reference(lars(0.8, 0.3, 0.1, 0.5)),
    ),
    "lamb": (
        {"name": "lamb", "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4, "weight_decay": 0.1},
        reference(lamb(0.8, 0.95, 1e-4, 0.1)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_steps_are_those_of_the_formula(case):
    arguments, expected = CASES[case]
    made = trained(Optimizer(learning_rate=RATE, **arguments), gradients())
    for name, values in expected.items():
        np.testing.assert_allclose(made[name], values, rtol=2e-5, atol=2e-6)


def clipped(limit, gradient):
    whole = np.sqrt(sum((value**2).sum() for value in gradient.values()))
    return {name: value * min(1, limit / whole) for name, value in gradient.items()}


def test_gradients_are_clipped_together_alone_or_by_value():
    ways = {
        "global_clipnorm": [clipped(1.5, gradient) for gradient in gradients()],
        "clipnorm": [{name: v * min(1, 1.5 / norm(v)) for name, v in gradient.items()} for gradient in gradients()],
        "clipvalue": [{name: np.clip(v, -0.5, 0.5) for name, v in gradient.items()} for gradient in gradients()],
    }
    for way, reduced in ways.items():
        limit = 0.5 if way == "clipvalue" else 1.5
        made = trained(Optimizer(name="sgd", learning_rate=RATE, momentum=0.9, **{way: limit}), gradients())
        for name, values in reference(sgd(0.9), all_gradients=reduced).items():
            np.testing.assert_allclose(made[name], values, rtol=2e-5, atol=2e-6, err_msg=way)


def test_float16_gradients_are_unscaled_before_they_are_clipped():
    optimizer = Optimizer(name="lars", learning_rate=RATE, momentum=0.8, global_clipnorm=1.5, weight_decay=0.1)
    scale = 2.0**15  # Keras's initial scale of the loss
    made = trained(optimizer, gradients(scale), "float16")
    plain = trained(optimizer, gradients())
    for name in plain:
        np.testing.assert_allclose(made[name], plain[name], rtol=1e-5)


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_layer_of_zeros_takes_a_step_and_stays_finite(name):
    kernel = keras.Variable(np.zeros((2, 2)), dtype="float32")
    made = make_optimizer(Optimizer(name=name, learning_rate=RATE, weight_decay=0.1), RATE, "float32", [kernel])
    made.apply([keras.ops.zeros((2, 2))], [kernel])
    assert not kernel.value.numpy().any()
    made.apply([keras.ops.ones((2, 2))], [kernel])
    assert np.isfinite(kernel.value.numpy()).all()
    assert (kernel.value.numpy() < 0).all()


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_ours_are_saved_and_loaded_with_their_arguments_and_state(name, tmp_path):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    optimizer = Optimizer(name=name, learning_rate=RATE, weight_decay=0.1, epsilon=1e-3)
    model.compile(make_optimizer(optimizer, RATE, "float32", model.trainable_variables), "mse")
    inputs, targets = np.random.default_rng(1).random((8, 3)), np.random.default_rng(2).random((8, 2))
    model.fit(inputs, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for each in (model, loaded):
        each.fit(inputs, targets, verbose=0)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_keras_own_lamb_is_not_the_papers_with_weight_decay():
    """Why there is one of ours: should Keras's become right, ours can go."""
    variables = [keras.Variable(value, dtype="float32") for value in weights().values()]
    theirs = keras.optimizers.Lamb(RATE, beta_1=0.8, beta_2=0.95, epsilon=1e-4, weight_decay=0.1)
    for gradient in gradients():
        theirs.apply([keras.ops.convert_to_tensor(value, "float32") for value in gradient.values()], variables)
    assert np.abs(variables[0].value.numpy() - CASES["lamb"][1]["kernel"]).max() > 1e-3


def test_lars_takes_steps_in_proportion_to_the_weights_whatever_the_gradients_size():
    moved = []
    for scale in (1.0, 1000.0):
        kernel = keras.Variable(weights()["kernel"], dtype="float32")
        before = kernel.value.numpy()
        LARS(1.0, momentum=0.0, trust_coefficient=0.01).apply([scale * gradients()[0]["kernel"]], [kernel])
        moved.append(norm(kernel.value.numpy() - before) / norm(before))
    np.testing.assert_allclose(moved, 0.01, rtol=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adam", "lars"])
def test_biases_get_the_rate_times_the_bias_factor(name):
    given = {"momentum": 0.9} if name == "sgd" else {}
    plain = trained(Optimizer(name=name, learning_rate=RATE, **given), gradients())
    faster = trained(Optimizer(name=name, learning_rate=RATE, bias_factor=3, **given), gradients())
    whole = trained(Optimizer(name=name, learning_rate=3 * RATE, **given), gradients())
    np.testing.assert_array_equal(faster["kernel"], plain["kernel"])
    np.testing.assert_allclose(faster["bias"], whole["bias"], rtol=1e-6)
    assert np.abs(faster["bias"] - plain["bias"]).max() > 1e-3
