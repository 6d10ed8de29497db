"""A network is cut before its last layer, and its layers are found by name, those of nested models too."""

import keras
import numpy as np
import pytest
from keras import layers

from hpcdl.errors import JobFileError
from hpcdl.train.models import pretrained
from hpcdl.train.models.network import build_network
from hpcdl.train.transfer.parts import by_name, choose, cut


def chain(*parts, shape=(8, 8, 1)):
    inputs = tensor = layers.Input(shape)
    for part in parts:
        tensor = part(tensor)
    return keras.Model(inputs, tensor, name="chain")


def names(parts) -> list[str]:
    return [type(layer).__name__ for layer in parts.head]


def test_the_head_is_the_last_layer_with_weights_and_what_belongs_to_it():
    model = chain(layers.Flatten(), layers.Dense(6), layers.Dropout(0.5), layers.Dense(3), layers.Softmax())
    parts = cut(model)
    assert names(parts) == ["Dropout", "Dense", "Softmax"]
    assert parts.body.output_shape == (None, 6)
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 1))
    expected = keras.ops.softmax(model.layers[-2](parts.body(images)))
    np.testing.assert_allclose(model(images), expected, rtol=1e-5)


def test_a_network_that_ends_in_a_whole_network_or_in_two_has_no_last_layer():
    nested = chain(layers.Flatten(), layers.Dense(3))
    with pytest.raises(JobFileError, match="does not end in a layer of its own with weights, but in chain"):
        cut(keras.Model(nested.inputs[0], chain(nested)(nested.inputs[0])))
    inputs = layers.Input((4,))
    two = keras.Model(inputs, layers.Add()([layers.Dense(2)(inputs), layers.Dense(2)(inputs)]))
    with pytest.raises(JobFileError, match=r"in add.*fed by 2 others"):
        cut(two)
    with pytest.raises(JobFileError, match=r"whole network|fed by 0 others"):
        cut(chain(layers.Flatten()))


def test_names_count_from_the_beginning_whatever_was_built_before():
    layers.Conv2D(1, 1), layers.ReLU(), layers.Dense(1)  # Keras counts them too
    model = chain(
        layers.Conv2D(2, 3), layers.ReLU(), layers.Conv2D(2, 3), layers.Flatten(name="own_3"), layers.Dense(2)
    )
    assert list(by_name(cut(model).body, made_here=True))[1:] == ["conv2d", "re_lu", "conv2d_1", "own_3"]
    assert [*by_name(cut(model).body, made_here=False)] == [layer.name for layer in model.layers[:-1]]


def test_layers_are_chosen_by_patterns_also_in_nested_models():
    inner = chain(layers.Conv2D(2, 3, name="conv_a"), layers.ReLU(name="relu"), layers.Conv2D(2, 3, name="conv_b"))
    model = chain(
        layers.Conv2D(1, 3, padding="same", name="conv_a"), inner, layers.Flatten(name="flat"), layers.Dense(2)
    )
    named = by_name(cut(model).body, made_here=False)
    paths = [name for name in named if "input" not in name]
    assert paths == ["conv_a", "chain/conv_a", "chain/relu", "chain/conv_b", "flat"]

    def chosen(*patterns):
        found = choose(named, patterns)
        return [name for name, layer in named.items() if any(layer is other for other in found)]

    assert chosen("conv_a") == ["conv_a", "chain/conv_a"]
    assert chosen("chain/conv_a") == ["chain/conv_a"]
    assert chosen("conv_[b]", "conv_a") == ["conv_a", "chain/conv_a", "chain/conv_b"]
    assert chosen("chain/relu:") == ["chain/relu", "chain/conv_b", "flat"]
    for none in ("conv_c", "relu", "chain", "conv_c:"):
        with pytest.raises(JobFileError, match=f"called {none}; there are conv_a, chain/conv_a, chain/conv_b."):
            choose(named, ["conv_a", none])


def test_a_network_from_a_file_gets_a_new_last_layer_and_loses_what_was_frozen(tmp_path):
    keras.utils.set_random_seed(1)
    inner = chain(layers.Conv2D(2, 3, name="dense"), layers.BatchNormalization())
    inner.trainable = False
    model = chain(layers.Rescaling(2.0), inner, layers.Dense(7, name="softmax"))  # maps, not features, at its end
    model.save(tmp_path / "m.keras")
    inputs, outputs = pretrained.build(str(tmp_path / "m.keras"), (8, 8, 1), 4, regression=False, dropout=0.1)
    built = keras.Model(inputs, outputs)
    assert built.output_shape == (None, 4)
    assert len(built.trainable_variables) == 2 + 2 + 2, "convolution, batch normalisation, last layer"
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(cut(built).body(images), inner(2 * images).numpy().mean(axis=(1, 2)), rtol=1e-4)
    built.save(tmp_path / "again.keras")
    assert len(cut(pretrained.read_network(tmp_path / "again.keras")).head) == 2


def test_new_layers_do_not_take_the_names_of_old_ones(tmp_path):
    new = [layer.name for layer in (layers.Dense(1), layers.Dropout(0.5), layers.GlobalAveragePooling2D())]
    kind, number = new[0].rsplit("_", 1) if "_" in new[0] else (new[0], 0)
    taken = f"{kind}_{int(number) + 1}"  # what the next Dense of this process would be called
    chain(layers.Flatten(), layers.Dense(4, name=taken), layers.Dense(2, name="last")).save(tmp_path / "m.keras")
    inputs, outputs = pretrained.build(str(tmp_path / "m.keras"), (8, 8, 1), 3, regression=False, dropout=0.0)
    found = [layer.name for layer in keras.Model(inputs, outputs).layers]
    assert len(set(found)) == len(found)
    assert taken in found


@pytest.mark.parametrize(
    ("weights", "shape", "sentence"),
    [
        ("m.keras", (9, 9, 1), r"takes inputs of shape \(8, 8, 1\), the data have \(9, 9, 1\)"),
        ("cut.keras", (8, 8, 1), "Keras cannot load it"),
        ("absent.keras", (8, 8, 1), "no such file"),
        ("step-000000001-0123456789abcdef.npz", (8, 8, 1), "a checkpoint holds no network"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused(tmp_path, monkeypatch, weights, shape, sentence):
    monkeypatch.chdir(tmp_path)
    chain(layers.Flatten(), layers.Dense(2)).save("m.keras")
    (tmp_path / "cut.keras").write_bytes((tmp_path / "m.keras").read_bytes()[:500])
    (tmp_path / "step-000000001-0123456789abcdef.npz").write_text("")
    with pytest.raises(JobFileError, match=f"train.model: pretrained: .*{sentence}"):
        pretrained.build(weights, shape, 2, regression=False, dropout=0.0)


def test_keras_applications_get_the_inputs_that_their_weights_were_trained_on():
    inputs, outputs = build_network("keras.applications:VGG16", {}, (32, 32, 3), 2)
    body = cut(keras.Model(inputs, outputs)).body
    theirs = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    body.set_weights(theirs.get_weights())
    images = np.random.default_rng(1).uniform(size=(2, 32, 32, 3)).astype("float32")
    ready = keras.applications.vgg16.preprocess_input(255 * images)
    np.testing.assert_allclose(body(images), theirs(ready), rtol=1e-5)
    assert "block5_conv3" in by_name(body, made_here=True)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("VGG61", {}, "Did you mean VGG16?"),
        ("Nothing", {}, "keras.io/api/applications lists them"),
        ("VGG16", {"weights": "imagenet"}, "has no argument 'weights' here; it takes name"),
        ("InceptionV3", {}, "on inputs of .32, 32, 3."),
    ],
)
def test_a_wrong_application_is_one_sentence(name, arguments, sentence):
    with pytest.raises(JobFileError, match=sentence):
        build_network(f"keras.applications:{name}", arguments, (32, 32, 3), 2)
