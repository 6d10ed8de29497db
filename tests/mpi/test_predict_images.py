"""`hpcdl predict-images` as a user runs it: the same bytes for any number of ranks; one that fails ends all."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from PIL import Image

from hpcdl.train.data import load_dataset
from hpcdl.train.evaluate import scale_pixels

pytestmark = [pytest.mark.mpi, pytest.mark.slow]


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with a network, model.keras, and images of digits in class folders: three batches."""
    folder = tmp_path_factory.mktemp("predict")
    data = load_dataset("digits")
    inputs = keras.layers.Input((28, 28, 1))
    hidden = keras.layers.Conv2D(4, 5, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(hidden)))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(scale_pixels(data.train_inputs), data.train_targets, verbose=0)
    model.save(folder / "model.keras")
    for index in range(230):
        path = folder / "images" / str(data.test_targets[index]) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.test_inputs[index, ..., 0]).save(path)
    (folder / "images" / "3" / "broken.png").write_bytes(b"no image")
    return folder


def predict(work: Path, num_ranks: int, output: str, *options: str) -> subprocess.CompletedProcess[str]:
    (work / output).parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "hpcdl", "predict-images", "model.keras", "images", "-n", str(num_ranks)]
    return subprocess.run([*command, "-o", output, *options], cwd=work, capture_output=True, text=True, timeout=240)


def test_one_and_two_ranks_write_the_same_bytes(work):
    digests = {}
    for num_ranks in (1, 2):
        ended = predict(work, num_ranks, f"{num_ranks}/out.csv")
        assert ended.returncode == 0, ended.stderr
        assert "230 of 231 inputs predicted" in ended.stdout
        assert ended.stdout.count("left out: ") == 1
        files = sorted((work / str(num_ranks)).iterdir())
        digests[num_ranks] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    kinds = {
        "csv": ["", "_classes", "_confusion"],
        "json": ["_measures"],
        "png": ["_confusion", "_mistakes"],
        "pdf": ["_confusion", "_mistakes"],
    }
    assert set(digests[1]) == {f"out{name}.{kind}" for kind, names in kinds.items() for name in names}
    assert digests[1] == digests[2]
    measures = json.loads((work / "1" / "out_measures.json").read_text())
    assert measures["n"] == 230
    assert f"accuracy {measures['accuracy']:.4f}" in ended.stdout
    rows = (work / "1" / "out.csv").read_text().splitlines()
    assert len(rows) == 232
    assert [row for row in rows if row.startswith("3/broken.png,,,3,")]


def test_a_rank_that_fails_ends_all_and_leaves_no_table(work):
    ended = predict(work, 2, "strict/out.parquet", "--strict")
    assert ended.returncode == 2
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "broken.png" in errors[0]
    assert not list((work / "strict").iterdir())
