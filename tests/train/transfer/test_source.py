"""The weights of every kind of source reach the right layers; the last layer is kept only where it fits."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from hpcdl.errors import HpcdlError
from hpcdl.train.build import build_model
from hpcdl.train.checkpoint import FOLDER
from hpcdl.train.data import load_dataset
from hpcdl.train.models.network import build_network
from hpcdl.train.models.pretrained import read_network
from hpcdl.train.transfer.parts import cut
from hpcdl.train.transfer.source import copy_weights, take_weights
from hpcdl.training import Training

IMAGES = np.random.default_rng(1).uniform(size=(3, 28, 28, 1)).astype("float32")


@pytest.fixture
def begin(shared_folder, monkeypatch):
    """Return a function that builds the model of a job and gives it the weights of a file."""
    monkeypatch.syspath_prepend(shared_folder)

    def build(weights, model="small_networks:small", classes=(5, 6, 7, 8, 9), seed=1, **transfer):
        training = Training.model_validate(
            {
                "model": model,
                "data": {"name": "digits", "classes": list(classes)},
                "epochs": 1,
                "batch_size": 8,
                "seed": seed,
                "transfer": {"weights": str(weights), **transfer},
            }
        )
        keras.utils.set_random_seed(seed)
        built = build_model(training, load_dataset(training.data), "float32", 10)
        return built, take_weights(built, training.transfer, seed)

    return build


def features(model) -> np.ndarray:
    return cut(model).body(IMAGES, training=False).numpy()


def head(model) -> np.ndarray:
    return cut(model).head[-1].kernel.numpy()


def test_every_kind_of_source_gives_the_same_features(begin, source, tmp_path):
    trained = keras.models.load_model(source / "model.keras")
    body = cut(trained).body
    with h5py.File(tmp_path / "body.h5", "w") as file:  # the form of the files of keras.applications
        legacy_h5_format.save_weights_to_hdf5_group(file, body)
    body.save_weights(tmp_path / "body.weights.h5")
    newest = sorted((source / FOLDER).glob("*.npz"))[-1]
    kinds = [source, source / "model.keras", newest, tmp_path / "body.h5", tmp_path / "body.weights.h5"]
    kinds.append(f"{source.parent}/sou*")
    for kind in kinds:
        model, taken = begin(kind, head="new")
        np.testing.assert_allclose(features(model), features(trained), 1e-5, 1e-6, err_msg=str(kind))
        assert taken.new_head
        assert taken.path.is_file()
    model, _ = begin(source, model="pretrained", head="new")
    np.testing.assert_allclose(features(model), features(trained), 1e-5, 1e-6)


def test_branches_keep_their_order(tmp_path):
    """Layers of equal shapes side by side: a wrong order would not be seen in the shapes."""
    theirs, ours = (keras.Model(*build_network("googlenet", {}, (32, 32, 1), 3)) for _ in range(2))
    theirs.save(tmp_path / "theirs.keras")
    images = np.random.default_rng(1).uniform(size=(2, 32, 32, 1)).astype("float32")
    assert (cut(ours).body(images) != cut(theirs).body(images)).numpy().any()
    copy_weights(cut(read_network(tmp_path / "theirs.keras")).body, cut(ours).body, tmp_path / "theirs.keras")
    np.testing.assert_array_equal(cut(ours).body(images), cut(theirs).body(images))


def test_the_last_layer_is_kept_where_it_fits_and_new_where_it_does_not(begin, source):
    old = head(keras.models.load_model(source / "model.keras"))
    kept, taken = begin(source)
    np.testing.assert_array_equal(head(kept), old)
    assert not taken.new_head
    model, taken = begin(source, classes=(7, 8, 9))
    assert taken.new_head
    assert head(model).shape == (64, 3)
    with pytest.raises(HpcdlError, match="has 5 outputs, not 3, so that it cannot be kept"):
        begin(source, classes=(7, 8, 9), head="keep")


def test_a_new_last_layer_is_not_the_one_with_which_the_source_began(begin, source):
    """The source was trained with seed 1 as well: by that seed alone both would begin with the same last layer."""
    first, again, other = (head(begin(source, head="new", seed=seed)[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    keras.utils.set_random_seed(1)
    began = head(keras.Model(*build_network("small_networks:small", {}, (28, 28, 1), 5)))
    for different in (began, other):
        assert abs(np.corrcoef(first.ravel(), different.ravel())[0, 1]) < 0.3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.h5", "no such file or folder"),
        ("text.h5", "does not hold the weights of small without its last layer"),
        ("other.h5", "does not hold the weights of small without its last layer .*mismatch"),
        ("other.keras", "its layer conv2d_?[0-9]*/kernel have the shape .5, 5, 1, 5., where conv2d_?[0-9]*/kernel has"),
        ("short.keras", "it has 2 arrays of weights below the last layer, not 12"),
    ],
)
def test_what_does_not_fit_is_one_sentence(begin, tmp_path, monkeypatch, name, sentence):
    begin(_keras(tmp_path / "small.keras", *build_network("small_networks:small", {}, (28, 28, 1), 5)))
    other = _keras(tmp_path / "other.keras", *build_network("small_networks:small", {"maps": 5}, (28, 28, 1), 5))
    inputs = keras.layers.Input((28, 28, 1))
    short = keras.layers.Flatten()(keras.layers.Conv2D(4, 5, strides=4)(inputs))
    _keras(tmp_path / "short.keras", inputs, keras.layers.Dense(5)(short))
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, cut(keras.models.load_model(other)).body)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HpcdlError, match=sentence):
        begin(name)


def _keras(path, inputs, outputs):
    keras.Model(inputs, outputs).save(path)
    return path
