"""The training of one job on this rank, from the first check to the last line of the log."""

import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.errors import DataError
from hpcdl.job import Job
from hpcdl.train import recipe
from hpcdl.train.build import build_model
from hpcdl.train.checkpoint import (
    MODEL_FILE,
    capture,
    load_checkpoint,
    restore,
    save_checkpoint,
    save_model,
)
from hpcdl.train.data import Data, Dataset, load_dataset, prepare
from hpcdl.train.device import claim_device, versions
from hpcdl.train.evaluate import evaluate, scale_pixels
from hpcdl.train.horovod import HorovodModel, average_statistics, check_weights, global_metrics, synchronize
from hpcdl.train.report import Report
from hpcdl.train.world import Stopped, World, WorldError, world
from hpcdl.training import Training

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

    num_train, steps = divide(training, data, us)
    keras.utils.set_random_seed(training.seed)
    keras.config.set_dtype_policy(recipe.POLICIES[precision])
    model = build_model(training, data, precision, steps * training.epochs)
    synchronize(model)
    run_steps = compile_steps(model, data, training, us)
    step, stop = resume(us, model, folder, steps, training.batch_size), StopSignal()  # steps done over the whole run

    with Report(us, folder) as report:
        report.start(job, data, num_train, steps, model.count_params(), precision, device, step)
        while step < steps * training.epochs:
            epoch, row = step // steps + 1, step % steps
            report.begin_epoch(epoch)
            if row == 0:
                model.reset_metrics()
            order = epoch_order(training, epoch, num_train, steps, us)[row:]
            for block in blocks(order, step, training.check_weights_every):
                with report.timing(len(block) * training.batch_size):
                    loss, accuracy = (float(value) for value in run_steps(block, step))
                step += len(block)
                signal_name = check_in(us, loss, step, stop.received)
                report.progress(epoch, step, loss, accuracy)
                if step % training.check_weights_every == 0:
                    check_weights(model, step)
                if signal_name and step % steps:
                    save(us, model, folder, step, steps, training)
                    raise Stopped(f"{signal_name} stopped the run after step {step}; it goes on from its checkpoint.")
            metrics = global_metrics(model)
            average_statistics(model)
            if num_train < len(data.train_inputs):
                validated = evaluate(model, data.train_inputs[num_train:], data.train_targets[num_train:])
                metrics |= dict(zip(("val_loss", "val_accuracy"), validated, strict=True))
            report.end_epoch(step, float(model.optimizer.learning_rate), metrics)
            save(us, model, folder, step, steps, training)
            if signal_name and step < steps * training.epochs:
                raise Stopped(f"{signal_name} stopped the run after epoch {epoch}; it goes on from its checkpoint.")
        digest = check_weights(model, step)
        test_loss, test_accuracy = evaluate(model, data.test_inputs, data.test_targets)
        if us.rank == 0:
            save_model(model, folder / MODEL_FILE)
        report.end(test_loss, test_accuracy, digest)


def stage(us: World, chosen: Data) -> Dataset:
    """Return a data set, downloaded by rank 0 alone if need be, and the same on all ranks. Collective.

    Raises:
        WorldError: on all ranks: one of them cannot read it, or has another than the others.
    """
    data, failure = None, None
    try:
        if us.rank == 0:
            prepare(chosen)
    except DataError as error:
        failure = error
    us.first_failure(failure)
    try:
        data = load_dataset(chosen)
    except DataError as error:
        failure = error
    us.first_failure(failure)
    assert data is not None
    us.agree(f"the checksum of the data set {data.name}", data.digest, "Give all hosts the same copy of it.")
    return data


def divide(training: Training, data: Dataset, us: World) -> tuple[int, int]:
    """Return the number of images to train on (the rest, at the end, validates) and of steps in an epoch.

    Raises:
        WorldError: there are too few images for one step.
    """
    num_train = int(len(data.train_inputs) * (1 - training.validation_split))
    steps = num_train // (training.batch_size * us.size)
    if not steps:
        raise WorldError(
            f"train.batch_size: a step takes {training.batch_size} images on each of {us.size} ranks, but {data.name} "
            f"has {num_train} to train on. Use a smaller batch or fewer ranks."
        )
    return num_train, steps


def compile_steps(model: HorovodModel, data: Dataset, training: Training, us: World) -> Callable[..., Any]:
    """Return a function that makes one training step for each row of `indices` and returns loss and accuracy so far.

    Images stay on the device as uint8 and are picked, changed and scaled inside the graph: one call into TensorFlow
    makes many steps, and Python is out of the loop.
    """
    images, labels = tf.constant(data.train_inputs), tf.constant(data.train_targets)
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


def check_in(us: World, loss: float, step: int, signal_name: str | None) -> str | None:
    """Stop all ranks when the loss of one is not finite; return the signal that any of them got. Collective.

    Raises:
        WorldError: on all ranks: the loss of one of them is not finite.
    """
    for rank, (host, theirs, _) in enumerate(everyone := us.allgather((us.host, loss, signal_name))):
        if not math.isfinite(theirs):
            raise WorldError(
                f"rank {rank} on {host}: the loss became {theirs} before step {step}. "
                "Lower the learning rate, or use precision float32."
            )
    return next((name for _, _, name in everyone if name), None)


class StopSignal:
    """Notes SIGTERM and SIGUSR1, which Slurm sends before the time limit; the loop looks when it can stop."""

    def __init__(self) -> None:
        self.received: str | None = None
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.received = signal.Signals(number).name


def save(us: World, model: HorovodModel, folder: Path, step: int, steps: int, training: Training) -> None:
    """Write a checkpoint; training goes on only when it is on the disk. Collective.

    Raises:
        WorldError: on all ranks: it could not be written.
    """
    arrays, failure = capture(model, us), None
    if us.rank == 0:
        info = {"step": step, "steps_per_epoch": steps, "ranks": us.size, "batch_size": training.batch_size}
        try:
            save_checkpoint(folder, step, arrays, info, training.keep_checkpoints)
        except OSError as fault:
            failure = WorldError(f"{folder}: the checkpoint of step {step} cannot be written ({fault.strerror}).")
    us.first_failure(failure)


def resume(us: World, model: HorovodModel, folder: Path, steps: int, batch_size: int) -> int:
    """Go on from the newest whole checkpoint in the run's folder; return the steps done, 0 without one. Collective.

    With the same ranks and batch the continued run is the uninterrupted one, bit by bit. With others it goes on at the
    same image of the same epoch, and says so.
    """
    found = us.broadcast(load_checkpoint(folder) if us.rank == 0 else None)
    if found is None:
        return 0
    arrays, info = found
    restore(model, us, arrays, info["ranks"])
    epochs, row = divmod(info["step"], info["steps_per_epoch"])
    row = min(row * info["ranks"] * info["batch_size"] // (us.size * batch_size), steps - 1)
    done = epochs * steps + row
    if done != info["step"]:
        model.optimizer.iterations.assign(done)  # the learning rate's schedule counts in the new steps
    if us.rank == 0:
        print(f"Continue after step {done}, from {info['path']}")
        if (info["ranks"], info["batch_size"]) != (us.size, batch_size):
            print(
                f"It was written by {info['ranks']} ranks with {info['batch_size']} images each; now there are "
                f"{us.size} with {batch_size}: other images share a step, and the numbers are no longer that run's."
            )
    return done
