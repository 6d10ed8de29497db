"""A small network with batch normalisation and dropout, trained on five of the digits, and runs that begin with it."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hpcdl.job import load_job
from hpcdl.run.folder import fill_run_folder

NETWORKS = """
from keras import layers

def small(input_shape, maps=4):
    images = layers.Input(input_shape)
    x = layers.Conv2D(maps, 5, strides=4)(images)
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.ReLU()(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Conv2D(maps, 3)(x)
    x = layers.BatchNormalization(momentum=0.8)(x)
    return images, layers.Flatten()(x)
"""
TRAIN = {"model": "small_networks:small", "epochs": 1, "batch_size": 20, "keep_checkpoints": 9}
OLD = {"name": "digits", "classes": [0, 1, 2, 3, 4], "per_class": 40}
NEW = {"name": "digits", "classes": [5, 6, 7, 8, 9], "per_class": 20}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("transfer")
    (folder / "small_networks.py").write_text(NETWORKS)
    return folder


@pytest.fixture
def run(tmp_path, shared_folder, monkeypatch, train_in):
    """Return a function that trains in this process in a folder of the given name, with values for `train:`."""
    monkeypatch.syspath_prepend(shared_folder)

    def train(folder, **values) -> Path:
        folder = tmp_path / folder
        folder.mkdir(exist_ok=True)
        job_file = folder / "given.yaml"
        with open(job_file, "w") as file:
            YAML().dump(
                {"name": "t", "resources": {"time": "00:10:00"}, "train": {**TRAIN, "data": NEW, **values}}, file
            )
        job = load_job(job_file)
        fill_run_folder(folder, job)
        train_in(folder, job)
        return folder

    return train


@pytest.fixture
def source(run, shared_folder) -> Path:
    """The run that the others begin with: made once, in the folder that all tests share."""
    folder = shared_folder / "source"
    return folder if (folder / "model.keras").exists() else run(folder, data=OLD, epochs=2)
