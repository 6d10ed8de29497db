"""From a job's `train:` section and its data to the compiled Keras model."""

import keras
import tensorflow as tf

from hpcdl.train import recipe
from hpcdl.train.data import Dataset
from hpcdl.train.horovod import HorovodModel
from hpcdl.train.models.network import build_network
from hpcdl.training import Training


def build_model(training: Training, data: Dataset, precision: str, steps: int) -> HorovodModel:
    """Return the compiled model of a job; `steps` is the number of steps of the whole run."""
    inputs, outputs = build_network(
        training.model.name,
        training.model.arguments,
        data.train_inputs.shape[1:],
        data.num_classes,
        dropout=training.dropout,
    )
    model = HorovodModel(inputs, outputs, name=training.model.name.rpartition(":")[2])
    model.micro_batches = training.micro_batches
    model.compile(
        recipe.make_optimizer(training.optimizer, training.schedule, precision, steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing),
        metrics=["accuracy"],
    )
    nothing = tf.zeros((1, data.num_classes))
    model.compute_metrics(None, nothing, nothing)  # metrics get their variables in use; a checkpoint may bring values
    model.reset_metrics()
    return model
