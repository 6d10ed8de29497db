"""From a job's `train:` section and its data to the compiled Keras model."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.errors import JobFileError
from hpcdl.train import augment
from hpcdl.train.communication import MIB
from hpcdl.train.data import Dataset
from hpcdl.train.ema import WeightAverage
from hpcdl.train.evaluate import scale_pixels
from hpcdl.train.horovod import HorovodModel
from hpcdl.train.layers.faster import use_faster_layers
from hpcdl.train.layers.gathered_dense import gather_dense
from hpcdl.train.models import pretrained
from hpcdl.train.models.catalogue import MODELS, check_input
from hpcdl.train.models.network import build_network, set_first_weights
from hpcdl.train.optimizers import is_kernel, make_optimizer
from hpcdl.train.schedules import learning_rate, scale_factor
from hpcdl.train.transfer.stages import Stages
from hpcdl.train.world import world
from hpcdl.training import Normalization, Training
from hpcdl.transfer import PRETRAINED

FIRST_INPUTS = 5000
"""So many inputs at the beginning of the training data are shown to a network that makes first weights of them."""
MANY_CLASSES = 100
"""From so many classes on the five most probable are looked at too, as for ImageNet."""


def build_model(
    training: Training, data: Dataset, precision: str, steps: int, steps_per_epoch: int | None = None
) -> HorovodModel:
    """Return the compiled model of a job.

    Args:
        steps: steps of the whole run.
        steps_per_epoch: left out: those of one epoch of a run without rest.
    Raises:
        JobFileError: the recipe does not fit the data.
    """
    shape, classes = data.train_inputs.shape[1:], has_classes(data)
    augment.check(training.augment, shape, classes)
    if training.mirrored and len(shape) != 3:
        raise JobFileError("train.mirrored is for images, but the data are signals. Leave it out.")
    num_outputs = data.num_classes or data.train_targets.shape[1]
    if training.transfer and training.model.name == PRETRAINED:
        inputs, outputs = pretrained.build(
            training.transfer.weights, shape, num_outputs, regression=not classes, dropout=training.dropout
        )
    else:
        inputs, outputs = build_network(
            training.model.name,
            training.model.arguments,
            shape,
            num_outputs,
            regression=not classes,
            dropout=training.dropout,
        )
    if training.normalize:
        inputs, outputs = _normalized(inputs, outputs, training.normalize)
    kind = _AnySize if training.small_images else HorovodModel
    model = kind(inputs, outputs, name=training.model.name.rpartition(":")[2])
    if training.small_images:
        _check_size(training, model, shape)
    use_faster_layers(model)
    set_first_weights(training.model.name, model, lambda: _first_inputs(data, training.normalize))
    model.micro_batches = training.micro_batches
    model.wire = tf.float16 if training.horovod.wire == "float16" else None
    model.bucket_bytes = round(training.horovod.bucket_mib * MIB)
    if training.horovod.gather_dense and training.micro_batches == 1 and not training.transfer:
        model.gathered = gather_dense(model, world(), training.batch_size)
    if training.transfer:
        model.stages = Stages(model, training)
    if training.penalty.l1 or training.penalty.l2:
        for variable in filter(is_kernel, model.trainable_variables):
            variable.regularizer = keras.regularizers.L1L2(training.penalty.l1, training.penalty.l2)
    factor = scale_factor(training.optimizer, training.batch_size, world().size)
    epoch_steps = steps_per_epoch or steps // training.epochs
    rate = learning_rate(training.optimizer, training.schedule, factor, steps, epoch_steps)
    loss, metrics = _loss_and_metrics(training, data.num_classes)
    learning = model.trainable_variables
    joins = model.stages.joins(learning, epoch_steps) if model.stages else ()
    model.compile(make_optimizer(training.optimizer, rate, precision, learning, joins), loss=loss, metrics=metrics)
    model.optimizer.build(learning)
    nothing = tf.zeros((1, *outputs.shape[1:]))
    model.compute_metrics(None, nothing, nothing)  # metrics get their variables in use; a checkpoint may bring values
    model.reset_metrics()
    if training.ema:
        model.average = WeightAverage(model, training.ema)
    return model


class _AnySize(HorovodModel):
    """A model whose inputs may have another height and width than those it is declared for."""

    input_spec = None


def _check_size(training: Training, model: Any, shape: tuple[int, ...]) -> None:
    """Refuse small images that are none, or that the network cannot see."""
    assert training.small_images
    size = training.small_images.size
    if len(shape) != 3:
        raise JobFileError("train.small_images is for images, but the data are signals. Leave it out.")
    if size >= min(shape[:2]):
        raise JobFileError(
            f"train.small_images.size: {size} is not smaller than the images, {shape[0]}x{shape[1]} pixels. "
            "Choose a smaller one, or leave small_images out."
        )
    small = (size, size, shape[2])
    try:
        if training.model.name in MODELS:
            check_input(training.model.name, small)
    except ValueError as fault:
        raise JobFileError(f"train.small_images: {fault}") from None
    try:
        model(tf.zeros((1, *small)))
    except (ValueError, tf.errors.InvalidArgumentError):
        raise JobFileError(
            f"train.small_images: {training.model.name} takes images of one size only. Choose a network that ends with "
            "a global pooling, or leave small_images out."
        ) from None


def has_classes(data: Dataset) -> bool:
    """Whether the targets are classes; otherwise they are numbers, and the network does regression."""
    return data.num_classes is not None


def _first_inputs(data: Dataset, normalize: Normalization | None) -> np.ndarray:
    inputs = scale_pixels(data.train_inputs[:FIRST_INPUTS]).numpy()
    if normalize:
        inputs = (inputs - np.array(normalize.mean, np.float32)) / np.array(normalize.std, np.float32)
    return inputs


def _loss_and_metrics(training: Training, num_classes: int | None) -> tuple[Any, list[Any]]:
    if num_classes is None:
        asked = [name for name in ("label_smoothing", "top5", "mirrored") if getattr(training, name)]
        if asked:
            raise JobFileError(f"train.{asked[0]} is for classes, but the targets of {training.data.name} are numbers.")
        return "mse", ["mae"]
    metrics: list[Any] = ["accuracy"]
    if training.top5 and num_classes <= 5:
        raise JobFileError(f"train.top5: with {num_classes} classes every image is among the first five. Leave it out.")
    if training.top5 or (training.top5 is None and num_classes >= MANY_CLASSES):
        metrics.append(keras.metrics.TopKCategoricalAccuracy(5, name="top5_accuracy"))
    return keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing), metrics


def _normalized(inputs: Any, outputs: Any, normalize: Normalization) -> tuple[Any, Any]:
    """Put the normalisation before a network, as a layer: whoever loads the saved model feeds it 0..1 as before."""
    channels = inputs.shape[-1]
    if len(normalize.mean) != channels:
        raise JobFileError(f"train.normalize has {len(normalize.mean)} channels, the data have {channels}.")
    raw = keras.layers.Input(inputs.shape[1:])
    layer = keras.layers.Normalization(
        mean=normalize.mean, variance=[deviation**2 for deviation in normalize.std], dtype="float32"
    )
    return raw, keras.Model(inputs, outputs).call(layer(raw))
