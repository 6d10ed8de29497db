"""`hpcdl look`: every picture is made, for images and for signals, and a wish that cannot be met is one sentence."""

import base64
import json
import re

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.errors import HpcdlError
from hpcdl.train.data import load_dataset

NAMES = ["filters", "activations", "dependence", "ascent", "patches", "neighbours"]


def look(*arguments: object):
    return CliRunner().invoke(app, ["look", *map(str, arguments)])


def test_all_pictures_of_a_run_and_a_page_that_holds_them(run_folder, tmp_path):
    ended = look(run_folder, "--image", 3, "--class", 8, "--unit", 5, "--samples", 60, "-o", tmp_path)
    assert ended.exit_code == 0, ended.output
    index = json.loads((tmp_path / "index.json").read_text())
    assert [picture["name"] for picture in index["pictures"]] == NAMES
    assert index["target"] == "8"
    assert index["of"].startswith("test input 3 (")
    page = (tmp_path / "index.html").read_text()
    held = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    for picture, text in zip(index["pictures"], held, strict=True):
        content = (tmp_path / picture["png"]).read_bytes()
        assert base64.b64decode(text) == content
        with Image.open(tmp_path / picture["png"]) as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 20, f"{picture['name']} is not empty"
        assert (tmp_path / picture["pdf"]).read_bytes().startswith(b"%PDF")


def test_a_file_without_a_data_set(run_folder, tmp_path):
    (tmp_path / "alone.keras").write_bytes((run_folder / "model.keras").read_bytes())
    Image.fromarray(load_dataset("digits").test_inputs[0, ..., 0]).save(tmp_path / "digit.png")
    ended = look(tmp_path / "alone.keras", "--image", tmp_path / "digit.png", "--class", 1, "-o", tmp_path / "look")
    assert ended.exit_code == 0, ended.output
    assert "they need a data set" in ended.output
    assert sorted(path.stem for path in (tmp_path / "look").glob("*.png")) == sorted(NAMES[:4])


def test_a_network_on_signals(tmp_path):
    layers = keras.layers
    inputs = layers.Input((1000, 1))
    maps = layers.Conv1D(8, 9, strides=4, activation="relu")(inputs)
    outputs = layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling1D()(maps))
    keras.Model(inputs, outputs).save(tmp_path / "signals.keras")
    ended = look(
        tmp_path / "signals.keras", "--data", "ecg", "--class", "tachycardia", "--samples", 40, "-o", tmp_path / "look"
    )
    assert ended.exit_code == 0, ended.output
    assert sorted(path.stem for path in (tmp_path / "look").glob("*.pdf")) == sorted(NAMES)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--image", "360"], "--image 360: digits has 360 test inputs, counted from 0."),
        (["--image", "absent.png"], "absent.png: cannot be read as an input of shape (28, 28, 1) (no such file)."),
        (["--class", "ten"], "--class ten: the network has no such output; give 0, 1, 2"),
        (["--layer", "conv2d_9"], "--layer conv2d_9: the network has no such layer. Did you mean 'conv2d"),
        (["--unit", "50"], "--unit 50: layer conv2d"),
        (["--data", "mnits"], "train.data: 'mnits' is no data set"),
        (["-o", "/dev/null/x"], "/dev/null/x: cannot be made"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_sentence(run_folder, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    ended = look(run_folder, *options)
    assert isinstance(ended.exception, HpcdlError)
    assert sentence in str(ended.exception)
    assert not list(tmp_path.iterdir())
