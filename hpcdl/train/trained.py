"""A network that was trained before: from a run, one of its checkpoints, or a `.keras` file of any origin."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpcdl.data import Data
from hpcdl.errors import LookError
from hpcdl.job import load_job
from hpcdl.run.folder import JOB_FILE
from hpcdl.train.build import build_model
from hpcdl.train.checkpoint import FOLDER, MODEL_FILE, load_checkpoint, read_checkpoint, restore
from hpcdl.train.data import Dataset, load_dataset
from hpcdl.train.ema import averaged
from hpcdl.train.input_files import read_input
from hpcdl.train.models.pretrained import read_network
from hpcdl.train.world import world
from hpcdl.training import Training

ALLOWED = f"Give a run's folder, a checkpoint (RUN/{FOLDER}/step-*.npz) or a model.keras."


@dataclass(frozen=True)
class Trained:
    """A network with its weights, and the data that its run was made for."""

    model: keras.Model
    """Plain Keras: one input, one output, not compiled."""
    path: Path
    """The file that the weights are from."""
    data: Data | None
    """What the run's job says of its data; None for a file that belongs to no run."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one input: (height, width, channels), or (length, channels)."""
        return tuple(self.model.input_shape[1:])

    def read(self, path: Path) -> np.ndarray:
        """Return what a file holds as one input, not yet scaled: as the run's data set would read it.

        Raises:
            DataError: the file cannot be read, or is not of the network's shape.
        """
        return read_input(path, self.input_shape, self.data.resize if self.data else None)

    @property
    def is_classifier(self) -> bool:
        """Whether the outputs are probabilities of classes, not the numbers of a regression."""
        last: Any = self.model.outputs[0]._keras_history.operation
        return isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax

    def load_data(self, chosen: str | None) -> Dataset | None:
        """Return the data set of that name, else the one of the run; None where there is neither.

        Raises:
            DataError: it is unknown or not here.
            LookError: its inputs are not of the network's shape.
        """
        wanted = Data(name=chosen) if chosen else self.data
        if wanted is None:
            return None
        data = load_dataset(wanted)
        if tuple(data.test_inputs.shape[1:]) != self.input_shape:
            raise LookError(
                f"{self.path}: the network takes inputs of shape {self.input_shape}, but those of {wanted.name} have "
                f"{tuple(data.test_inputs.shape[1:])}. Choose its data set by --data."
            )
        return data


def load_trained(path: Path) -> Trained:
    """Return the network of a run (its model.keras, else its newest checkpoint), of a checkpoint or a Keras file.

    Raises:
        LookError: there is none, it cannot be read, or its form is not one that hpcdl can look at.
        HpcdlError: it is a checkpoint, and its run's job or data cannot be read.
    """
    if path.is_dir() and (path / MODEL_FILE).is_file():
        path = path / MODEL_FILE
    if path.is_dir():
        return _from_checkpoint(path, None)
    if path.suffix == ".npz":
        return _from_checkpoint(path.absolute().parent.parent, path)
    if path.suffix != ".keras":
        raise LookError(f"{path}: {'no such file' if not path.exists() else 'no trained network'}. {ALLOWED}")
    model = read_network(path)
    job_file = path.parent / JOB_FILE
    training = load_job(job_file).train if job_file.is_file() else None  # a command of one's own may have made it too
    return Trained(model, path, training.data if training else None)


def scale(rows: np.ndarray) -> np.ndarray:
    """Return inputs as networks take them: images 0..255 as float32 0..1, signals as they are."""
    return rows.astype(np.float32) / np.float32(255) if rows.dtype == np.uint8 else rows.astype(np.float32)


def _from_checkpoint(folder: Path, chosen: Path | None) -> Trained:
    if not (folder / JOB_FILE).is_file():
        raise LookError(f"{chosen or folder}: no network of a run is there (no {folder / JOB_FILE}). {ALLOWED}")
    try:
        found = read_checkpoint(chosen) if chosen else load_checkpoint(folder)
    except (OSError, ValueError) as fault:
        raise LookError(f"{chosen}: cannot be read ({fault}). Choose another checkpoint of the run.") from None
    if found is None:
        raise LookError(f"{folder}: the run has left neither {MODEL_FILE} nor a checkpoint yet. {ALLOWED}")
    arrays, info = found
    training = load_job(folder / JOB_FILE).training
    return Trained(_rebuild(training, arrays, info), Path(info["path"]), training.data)


def _rebuild(training: Training, arrays: dict[str, np.ndarray], info: dict[str, Any]) -> keras.Model:
    """Build a job's network and give it the weights of a checkpoint, or their average where the job asks for one."""
    precision = "float16" if training.precision == "float16" else "float32"  # float16 scales the loss, and keeps that
    built = build_model(training, load_dataset(training.data), precision, steps=1, steps_per_epoch=1)
    built.optimizer.build(built.trainable_variables)
    restore(built, world(), arrays, info)
    model = keras.models.clone_model(keras.Model(built.inputs[0], built.outputs[0], name=built.name))
    with averaged(built):
        model.set_weights(keras.Model(built.inputs[0], built.outputs[0]).get_weights())
    return model
