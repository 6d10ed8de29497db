"""A user's own network by package.module:function, and what is said of one that cannot be built."""

import sys

import keras
import numpy as np
import pytest

from hpcdl.errors import JobFileError
from hpcdl.train.models.network import build_network

MODULE = """
import keras
from keras import layers

def net(input_shape, width=4, activation="relu"):
    images = layers.Input(input_shape)
    return images, layers.Dense(width, activation=activation)(layers.Flatten()(images))

def complete(input_shape, num_outputs, surplus=0):
    images = layers.Input(input_shape)
    return images, layers.Dense(num_outputs + surplus, activation="sigmoid")(layers.Flatten()(images))

def maps(input_shape):
    images = layers.Input(input_shape)
    return images, layers.Conv2D(2, 3)(images)

def a_number(input_shape):
    return 3

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on sys.path with the module `own_nets`."""
    (tmp_path / "own_nets.py").write_text(MODULE)
    (tmp_path / "broken_nets.py").write_text("import keras\nkeras.layers.Conv4D\n")
    (tmp_path / "needy_nets.py").write_text("import no_such_package_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("own_nets", "broken_nets", "needy_nets"):
        sys.modules.pop(name, None)


def build(name, shape=(8, 8, 1), num_outputs=3, dropout=0.0, regression=False, **arguments):
    return build_network(name, arguments, shape, num_outputs, regression, dropout)


def test_features_get_the_last_layer(folder):
    inputs, outputs = build("own_nets:net", width=7)
    model = keras.Model(inputs, outputs)
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [7, 3]
    probabilities = np.array(model(np.random.default_rng(0).random((2, 8, 8, 1), np.float32)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_a_function_that_asks_for_the_number_of_outputs_makes_them_itself(folder):
    model = keras.Model(*build("own_nets:complete"))
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [3]
    assert model.layers[-1].activation is keras.activations.sigmoid


def test_a_model_of_keras_applications_gives_features():
    with keras.StatelessScope(initialize_variables=False):
        inputs, outputs = build_network("keras.applications:MobileNetV2", {"alpha": 0.35}, (32, 32, 3), 5)
    assert (inputs.shape, outputs.shape) == ((None, 32, 32, 3), (None, 5))


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("own_net:net", {}, "there is no module own_net in {folder}"),
        ("own_nets.more:net", {}, "there is no module own_nets.more in {folder}"),
        ("own_nets:nett", {}, "{folder}/own_nets.py has no function 'nett'. Did you mean 'net'?"),
        ("own_nets:number", {}, "{folder}/own_nets.py has no function 'number'."),
        ("broken_nets:net", {}, "broken_nets cannot be imported: {folder}/broken_nets.py:2: AttributeError: "),
        ("needy_nets:net", {}, "needy_nets cannot be imported: {folder}/needy_nets.py:1: ModuleNotFoundError: No"),
        ("own_nets:net", {"witdh": 2}, "own_nets:net(input_shape, width=4, activation='relu') cannot be called with "),
        ("own_nets:net", {"activation": "relo"}, "own_nets:net failed at {folder}/own_nets.py:7: ValueError: "),
        ("own_nets:maps", {}, "own_nets:maps must return features of shape (batch, num_features); these have (None, 6"),
        ("own_nets:a_number", {}, "own_nets:a_number must return one Keras input and one output"),
        ("own_nets:complete", {"surplus": 1}, "own_nets:complete must return outputs of shape (batch, 3); these have "),
    ],
)
def test_what_cannot_be_built_is_said_in_one_sentence(folder, name, arguments, text):
    with pytest.raises(JobFileError) as raised:
        build(name, **arguments)
    sentence = str(raised.value)
    assert sentence.startswith("train.model: " + text.format(folder=folder))
    assert "\n" not in sentence


def test_a_dropout_before_a_layer_that_is_not_ours_is_refused(folder):
    with pytest.raises(JobFileError, match=r"train\.dropout: own_nets:complete makes its own last layer"):
        build("own_nets:complete", dropout=0.5)
