"""One model has one accuracy, whatever the number of ranks that evaluate it."""

import json

import keras
import pytest

from hpcdl.train.checkpoint import save_model
from hpcdl.train.data import load_dataset
from hpcdl.train.evaluate import scale_pixels
from hpcdl.train.models.network import build_network

pytestmark = [pytest.mark.mpi, pytest.mark.slow, pytest.mark.data]

IMAGES = 9_973  # a prime: no number of ranks or batches divides it


def test_one_and_two_ranks_count_every_image_once_and_agree_to_the_last_bit(run_ranks, tmp_path, mnist_folder):
    keras.utils.set_random_seed(1)
    model = keras.Model(*build_network("mnist_cnn", {}, (28, 28, 1), 10))
    data = load_dataset("mnist")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(scale_pixels(data.train_inputs[:6400]), data.train_targets[:6400], batch_size=128, verbose=0)
    save_model(model, tmp_path / "model.keras")

    results = {}
    for num_ranks in (1, 2):
        output = tmp_path / f"{num_ranks}.json"
        ended = run_ranks("evaluate.py", num_ranks, tmp_path / "model.keras", "mnist", IMAGES, output)
        assert ended.returncode == 0, ended.stderr
        results[num_ranks] = json.loads(output.read_text())
    assert results[1] == results[2]

    probabilities = model.predict(scale_pixels(data.test_inputs[:IMAGES]), verbose=0)
    right = int((probabilities.argmax(axis=1) == data.test_targets[:IMAGES]).sum())
    assert 0.85 < right / IMAGES < 0.999, "a network that is neither useless nor perfect"
    assert round(results[1]["accuracy"] * IMAGES) == right
    assert results[1]["accuracy"] < results[1]["top5_accuracy"] <= 1
