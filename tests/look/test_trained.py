"""A trained network is the same from every file that its run leaves; what is none is refused with a sentence."""

import re
import shutil

import keras
import numpy as np
import pytest

from hpcdl.errors import DataError, LookError
from hpcdl.train.data import load_dataset
from hpcdl.train.input_files import read_input
from hpcdl.train.trained import load_trained, scale


def test_a_run_its_model_and_its_checkpoint_are_one_network(run_folder, tmp_path):
    images = scale(load_dataset("digits").test_inputs[:50])
    whole = load_trained(run_folder)
    assert whole.path == run_folder / "model.keras"
    assert whole.data.name == "digits"
    assert whole.is_classifier
    expected = whole.model(images).numpy()
    assert (expected.argmax(axis=1) == load_dataset("digits").test_targets[:50]).mean() > 0.7, "it has learnt something"

    shutil.copytree(run_folder, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "model.keras").unlink()
    unfinished = load_trained(tmp_path / "unfinished")
    assert unfinished.path.name.startswith("step-000000044-")
    np.testing.assert_array_equal(unfinished.model(images), expected)
    np.testing.assert_array_equal(load_trained(next(run_folder.glob("checkpoints/*.npz"))).model(images), expected)

    shutil.copy(run_folder / "model.keras", tmp_path / "alone.keras")
    alone = load_trained(tmp_path / "alone.keras")
    assert alone.data is None
    np.testing.assert_array_equal(alone.model(images), expected)

    (tmp_path / "own").mkdir()  # what a command has trained, in the folder of its run
    shutil.copy(run_folder / "model.keras", tmp_path / "own")
    (tmp_path / "own" / "job.yaml").write_text('{name: own, resources: {time: "00:10:00"}, command: train}')
    assert load_trained(tmp_path / "own").data is None


def test_the_data_must_have_the_networks_shape(run_folder, tmp_path):
    inputs = keras.layers.Input((8, 8, 1))
    keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs))).save(tmp_path / "small.keras")
    small = load_trained(tmp_path / "small.keras")
    assert not small.is_classifier
    assert small.load_data(None) is None
    with pytest.raises(LookError, match=r"takes inputs of shape \(8, 8, 1\), but those of digits have \(28, 28, 1\)"):
        small.load_data("digits")


def test_what_is_no_network_is_refused(run_folder, tmp_path):
    (tmp_path / "broken.keras").write_text("no zip")
    (tmp_path / "notes.txt").write_text("hello")
    checkpoint = next(run_folder.glob("checkpoints/*.npz"))
    torn = tmp_path / "run" / "checkpoints" / checkpoint.name
    torn.parent.mkdir(parents=True)
    torn.write_bytes(checkpoint.read_bytes()[:-10])
    shutil.copy(run_folder / "job.yaml", tmp_path / "run")
    two = keras.layers.Input((4, 4, 1)), keras.layers.Input((4, 4, 1))
    keras.Model(two, keras.layers.Add()(two)).save(tmp_path / "two.keras")
    for path, sentence in {
        "nothing.keras": "nothing.keras: .*(No such file|not found)",
        "broken.keras": "broken.keras: Keras cannot load it",
        "notes.txt": "notes.txt: no trained network. Give a run's folder",
        "absent": "absent: no such file. Give a run's folder",
        "two.keras": "two.keras: the network must have one input and one output",
        f"run/checkpoints/{checkpoint.name}": "cannot be read .its content does not match the checksum",
        ".": r"no network of a run is there",
    }.items():
        with pytest.raises(LookError) as refused:
            load_trained(tmp_path / path)
        assert re.search(sentence, str(refused.value)), refused.value


def test_an_image_is_read_as_the_network_takes_it(tmp_path):
    from PIL import Image

    colours = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_input(tmp_path / "a.png", (6, 6, 3)), colours)
    assert read_input(tmp_path / "a.png", (4, 9, 1)).shape == (4, 9, 1)
    np.save(tmp_path / "a.npy", np.arange(5))
    np.testing.assert_array_equal(read_input(tmp_path / "a.npy", (5, 1))[:, 0], np.arange(5, dtype=np.float32))
    np.save(tmp_path / "nan.npy", np.array([1, np.nan]))
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    for name, shape in {"none.png": (6, 6, 3), "cut.png": (6, 6, 3), "nan.npy": (2, 1), "a.npy": (7, 1)}.items():
        with pytest.raises(DataError, match=name):
            read_input(tmp_path / name, shape)
    with pytest.raises(DataError, match="takes images of 4 channels"):
        read_input(tmp_path / "a.png", (6, 6, 4))
