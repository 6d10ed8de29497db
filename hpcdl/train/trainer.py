"""The training of one job on this rank, from the first check to the last line of the log."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.errors import DataError, HpcdlError
from hpcdl.job import Job, Training
from hpcdl.train import recipe
from hpcdl.train.checkpoint import MODEL_FILE, save_model
from hpcdl.train.data import Dataset, load_dataset, prepare
from hpcdl.train.device import claim_device, versions
from hpcdl.train.evaluate import evaluate, scale_pixels
from hpcdl.train.horovod import HorovodModel, average_statistics, check_weights, global_metrics, synchronize
from hpcdl.train.models import find_model
from hpcdl.train.report import Report
from hpcdl.train.world import World, WorldError, world

BLOCK_STEPS = 20
"""Steps that one call into TensorFlow makes, between two looks at the loss."""


def train(job: Job, folder: Path) -> None:
    """Train `job` on all ranks together and write logs, metrics and model into `folder`. Every rank calls it.

    Raises:
        WorldError: on all ranks: they disagree, the data are absent or wrong, or the loss is not finite.
    """
    us, training = world(), job.training
    device = claim_device(us)
    us.agree("the versions of the software", versions(), "Use one environment on all hosts.")
    us.agree("the hash of the job file", job.digest, "Give all ranks the same job file.")
    data = stage(us, training.data)
    precision = recipe.choose_precision(training)
    us.agree("the precision", precision, "Set train.precision to one that all hosts have.")

    num_train = int(len(data.train_images) * (1 - training.validation_split))  # the rest, at the end, validates
    steps = num_train // (training.batch_size * us.size)
    if not steps:
        raise WorldError(
            f"train.batch_size: a step takes {training.batch_size} images on each of {us.size} ranks, but {data.name} "
            f"has {num_train} to train on. Use a smaller batch or fewer ranks."
        )
    keras.utils.set_random_seed(training.seed)
    keras.config.set_dtype_policy(recipe.POLICIES[precision])
    model = build_model(training, data, precision, steps * training.epochs)
    synchronize(model)
    run_steps = compile_steps(model, data, training, us)

    with Report(us, folder) as report:
        report.start(job, data, num_train, steps, model.count_params(), precision, device)
        step = 0
        for epoch in range(1, training.epochs + 1):
            report.begin_epoch(epoch)
            model.reset_metrics()
            for block in blocks(epoch_order(training, epoch, num_train, steps, us), step, training.check_weights_every):
                with report.timing(len(block) * training.batch_size):
                    loss, accuracy = (float(value) for value in run_steps(block, step))
                step += len(block)
                check_loss(us, loss, step)
                report.progress(epoch, step, loss, accuracy)
                if step % training.check_weights_every == 0:
                    check_weights(model, step)
            metrics = global_metrics(model)
            average_statistics(model)
            if num_train < len(data.train_images):
                validated = evaluate(model, data.train_images[num_train:], data.train_labels[num_train:])
                metrics |= dict(zip(("val_loss", "val_accuracy"), validated, strict=True))
            report.end_epoch(step, float(model.optimizer.learning_rate), metrics)
        digest = check_weights(model, step)
        test_loss, test_accuracy = evaluate(model, data.test_images, data.test_labels)
        if us.rank == 0:
            save_model(model, folder / MODEL_FILE)
        report.end(test_loss, test_accuracy, digest)


def stage(us: World, name: str) -> Dataset:
    """Return a data set, downloaded by rank 0 alone if need be, and the same on all ranks. Collective.

    Raises:
        WorldError: on all ranks: one of them cannot read it, or has another than the others.
    """
    data, failure = None, None
    try:
        if us.rank == 0:
            prepare(name)
    except DataError as error:
        failure = error
    us.first_failure(failure)
    try:
        data = load_dataset(name)
    except DataError as error:
        failure = error
    us.first_failure(failure)
    assert data is not None
    us.agree(f"the checksum of the data set {name}", data.digest, "Give all hosts the same copy of it.")
    return data


def build_model(training: Training, data: Dataset, precision: str, steps: int) -> HorovodModel:
    """Return the compiled model of a job; `steps` is the number of steps of the whole run."""
    inputs, outputs = find_model(training.model)(data.train_images.shape[1:], data.num_classes, training.dropout)
    model = HorovodModel(inputs, outputs, name=training.model)
    model.micro_batches = training.micro_batches
    model.compile(
        recipe.make_optimizer(training.optimizer, training.schedule, precision, steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing),
        metrics=["accuracy"],
    )
    return model


def compile_steps(model: HorovodModel, data: Dataset, training: Training, us: World) -> Callable[..., Any]:
    """Return a function that makes one training step for each row of `indices` and returns loss and accuracy so far.

    Images stay on the device as uint8 and are picked, changed and scaled inside the graph: one call into TensorFlow
    makes many steps, and Python is out of the loop.
    """
    images, labels = tf.constant(data.train_images), tf.constant(data.train_labels)
    first, total = us.rank * training.batch_size, us.size * training.batch_size

    def one_step(indices: Any, step: Any) -> Any:
        seed = tf.stack([training.seed, step])
        batch = recipe.augment(tf.gather(images, indices), training.augment, seed, first, total)
        targets = tf.one_hot(tf.gather(labels, indices), data.num_classes)
        model.train_step((scale_pixels(batch), targets))

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec((None, training.batch_size), tf.int32), tf.TensorSpec((), tf.int32)],
    )
    def run_steps(indices: Any, step: Any) -> Any:
        def body(row: Any) -> Any:
            one_step(indices[row], step + row)
            return row + 1

        tf.while_loop(lambda row: row < tf.shape(indices)[0], body, [tf.constant(0)], parallel_iterations=1)
        result = model.get_metrics_result()
        return result["loss"], result["accuracy"]

    return run_steps


def epoch_order(training: Training, epoch: int, num_train: int, steps: int, us: World) -> np.ndarray:
    """Return the images of each step of an epoch for this rank: int32, shape (steps, batch_size).

    The order of all images depends on seed and epoch alone, and each rank takes its part of every global batch:
    2 ranks with batch b see in each step what 1 rank with batch 2b sees. What does not fill a global batch is left
    out, other images in every epoch.
    """
    order = np.random.default_rng([training.seed, epoch]).permutation(num_train).astype(np.int32)
    taken = order[: steps * us.size * training.batch_size]
    return taken.reshape(steps, us.size, training.batch_size)[:, us.rank]


def blocks(order: np.ndarray, step: int, check_every: int) -> Iterator[np.ndarray]:
    """Cut the steps of an epoch into blocks; one ends wherever the weights are to be compared (`step` are done)."""
    row = 0
    while row < len(order):
        stop = min(row + BLOCK_STEPS, len(order), row + check_every - (step + row) % check_every)
        yield order[row:stop]
        row = stop


def check_loss(us: World, loss: float, step: int) -> None:
    """Stop all ranks when the loss of one is not finite. Collective."""
    failure: HpcdlError | None = None
    if not math.isfinite(loss):
        failure = HpcdlError(
            f"the loss became {loss} before step {step}. Lower the learning rate, or use precision float32."
        )
    us.first_failure(failure)
