"""A small run on the digits, as the trainer leaves it."""

from pathlib import Path

import pytest

JOB = """
name: small
resources: {time: "00:10:00"}
train:
  model: mnist_cnn
  data: digits
  epochs: 1
  batch_size: 32
  ema: 0.9
"""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """The folder of a run: job.yaml, model.keras and a checkpoint whose averaged weights are those of the model."""
    import keras

    from hpcdl.job import load_job
    from hpcdl.train.build import build_model
    from hpcdl.train.checkpoint import capture, save_checkpoint, save_model
    from hpcdl.train.data import load_dataset
    from hpcdl.train.ema import averaged
    from hpcdl.train.evaluate import scale_pixels
    from hpcdl.train.world import world

    folder = tmp_path_factory.mktemp("run")
    (folder / "job.yaml").write_text(JOB)
    training, data = load_job(folder / "job.yaml").training, load_dataset("digits")
    keras.utils.set_random_seed(1)
    model = build_model(training, data, "float32", steps=44)
    targets = keras.utils.to_categorical(data.train_targets, 10)
    model.fit(scale_pixels(data.train_inputs), targets, batch_size=32, verbose=0)
    model.average.update(10)
    arrays = capture(model, world())
    with averaged(model):
        save_model(model, folder / "model.keras")
    info = {"step": 44, "steps_per_epoch": 44, "ranks": 1, "batch_size": 32}
    save_checkpoint(folder, 44, arrays, info, keep=1)
    return folder
