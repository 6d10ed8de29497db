"""`hpcdl models` and `hpcdl model summary`, and the page of the documentation that shows what they print."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from typer.testing import CliRunner

from hpcdl.cli import app
from hpcdl.job import load_job
from hpcdl.train.models.catalogue import MODELS, arguments_of
from hpcdl.train.models.network import build_network

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def run(*arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None, result.exception
    return result.stdout


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_shows_what_the_commands_print():
    assert run("models", "--format", "markdown") in PAGE.read_text()
    assert run("model", "summary", "lenet5") == blocks("text")[0]


def test_the_page_names_every_argument():
    text = PAGE.read_text()
    assert [
        argument for entry in MODELS.values() for argument in arguments_of(entry) if f"`{argument}" not in text
    ] == []


def test_the_pages_job_and_network_are_good(tmp_path, monkeypatch):
    (tmp_path / "job.yaml").write_text(blocks("yaml")[0])
    network = load_job(tmp_path / "job.yaml").training.model
    assert (network.name, network.arguments) == ("resnet20_cifar", {"zero_init_residual": True})
    (tmp_path / "my_nets.py").write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    assert build_network("my_nets:small", {"width": 3}, (8, 8, 1), 2)[1].shape == (None, 2)


def test_the_list_needs_no_keras():
    program = (
        "import sys; from hpcdl.cli import app; app(['models'], standalone_mode=False); print('keras' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "False"
    assert re.search(r"^resnet50 +224x224x3 +1,000 +25,557,032 +4,089,184,256 +He et al\. 2015", printed, re.MULTILINE)


def test_a_summary_as_json_has_numbers():
    found = json.loads(
        run("model", "summary", "mlp", "--input", "4x5", "--classes", "3", "--set", "hidden=7", "--format", "json")
    )
    assert found["total"] == {"parameters": 171, "statistics": 0, "multiply_adds": 161, "without": []}
    assert [layer["activation_shape"] for layer in found["layers"]] == [[4, 5], [20], [7], [7], [3]]
    assert found["layers"][0]["receptive_field"] == "1"


def test_a_layer_that_is_not_known_is_named(tmp_path, monkeypatch):
    (tmp_path / "recurrent.py").write_text(
        "from keras import layers\n"
        "def net(input_shape):\n"
        "    signals = layers.Input(input_shape)\n"
        "    return signals, layers.LSTM(4)(signals)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # the command adds the working folder itself; this takes it back
    printed = run("model", "summary", "recurrent:net", "--input", "9x2")
    sys.modules.pop("recurrent")
    assert re.search(r"^LSTM 4 +4 +4 +112 +\? +\?$", printed, re.MULTILINE)
    assert printed.endswith("40 multiply-adds for one input of 9x2, without LSTM 4, of which they are not known\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["lenet"], "'lenet' is no model. Did you mean 'lenet5'?"),
        (["mlp", "--set", "hiden=3"], "mlp has no argument 'hiden'. Did you mean 'hidden'?"),
        (["a.b:c"], "a.b:c may have any input; say which by --input, such as --input 32x32x3."),
        (["a:b:c", "--input", "3"], "'a:b:c' is no place of a function; write package.module:function."),
        (["mlp", "--input", "3x"], "--input '3x' is no shape; write height, width and channels as 32x32x3, or 6000x1."),
        (["mlp", "--input", "0x3"], "--input '0x3' is no shape; write height"),
        (["mlp", "--format", "xml"], "--format 'xml': there are text, markdown and json."),
        (
            ["vgg16", "--input", "8x8x3"],
            "train.model: vgg16 needs images of at least 32x32 pixels, but an input is 8x8x3 here.",
        ),
    ],
)
def test_a_wrong_word_is_answered_with_one_sentence(arguments, text):
    error = CliRunner().invoke(app, ["model", "summary", *arguments]).exception
    assert str(error).startswith(text)
    assert "\n" not in str(error)


def test_a_summary_leaves_the_precision_of_keras_alone():
    before = keras.config.dtype_policy().name
    run("model", "summary", "mlp")
    assert keras.config.dtype_policy().name == before
