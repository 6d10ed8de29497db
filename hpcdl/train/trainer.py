"""The training of one job on this rank, from the first check to the last line of the log."""

import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpcdl.errors import DataError, JobFileError
from hpcdl.job import Job
from hpcdl.train.augment import alternate, augment
from hpcdl.train.build import build_model, has_classes
from hpcdl.train.checkpoint import (
    BEST_MODEL_FILE,
    MODEL_FILE,
    best_epoch,
    capture,
    load_checkpoint,
    restore,
    save_checkpoint,
    save_model,
)
from hpcdl.train.data import Data, Dataset, load_dataset, prepare
from hpcdl.train.data.places import find_path
from hpcdl.train.data.stream import Stream
from hpcdl.train.device import check_gpus, claim_device, versions
from hpcdl.train.ema import averaged
from hpcdl.train.evaluate import evaluate, scale_pixels
from hpcdl.train.feed import feed, longest_block
from hpcdl.train.heartbeat import WAITING_FOR_ALL, Heartbeat
from hpcdl.train.horovod import HorovodModel, average_statistics, check_weights, global_metrics, synchronize
from hpcdl.train.node import on_device, share_data
from hpcdl.train.precision import POLICIES, choose_precision
from hpcdl.train.report import Report
from hpcdl.train.staging import scratch_folder, stage_files
from hpcdl.train.transfer.begin import begin_with_weights, fix_features
from hpcdl.train.transfer.features import FOLDER as FEATURES
from hpcdl.train.world import DiskError, Diverged, Stopped, World, WorldError, world
from hpcdl.training import Training

BLOCK_STEPS = 20
"""Steps that one call into TensorFlow makes, between two looks at the loss."""


def train(job: Job, folder: Path) -> None:
    """Train `job` on all ranks together and write logs, metrics and model into `folder`. Every rank calls it.

    Raises:
        WorldError: on all ranks: they disagree, the data are absent or wrong, or the loss is not finite.
    """
    us = world()
    with Heartbeat(us, folder) as heartbeat:
        _train(us, job, folder, heartbeat)


def _train(us: World, job: Job, folder: Path, heartbeat: Heartbeat) -> None:
    training = job.training
    notice = check_gpus(us, job.resources.gpus_per_node)
    if notice and us.rank == 0:
        print(notice, flush=True)
    device = claim_device(us)
    us.agree("the versions of the software", versions(), "Use one environment on all hosts.")
    us.agree("the hash of the job file", job.digest, "Give all ranks the same job file.")
    data = stage(us, training.data)
    precision = choose_precision(training)
    us.agree("the precision", precision, "Set train.precision to one that all hosts have.")

    num_train, steps = divide(training, data, us)
    keras.utils.set_random_seed(training.seed)
    keras.config.set_dtype_policy(POLICIES[precision])
    model = build(us, training, data, precision, steps)
    measured = [*model.get_metrics_result()]
    if num_train < len(data.train_inputs):
        measured += [f"val_{name}" for name in measured]
    if training.keep_best not in (None, *measured):
        raise WorldError(
            f"train.keep_best: this run measures no {training.keep_best}, but {', '.join(measured)}. Choose one of them"
            "; a val_ metric needs a validation_split."
        )
    synchronize(model)
    stop = StopSignal()
    step, history = resume(us, model, folder, steps, training.batch_size)  # steps done over the whole run
    if training.transfer and not step:
        begin_with_weights(us, model, training, folder)
    seen = data  # what goes into the network: images, or their features
    if training.transfer and training.transfer.head_alone:
        seen = fix_features(us, model, data, training, folder, lambda: stop.received)
    forward, run_steps, top5 = model.forward or model, None, "top5_accuracy" in measured

    with Report(us, folder) as report:
        report.start(job, data, num_train, steps, model.count_params(), precision, device, step)
        while step < steps * training.epochs:
            epoch, row = step // steps + 1, step % steps
            report.begin_epoch(epoch)
            if row == 0:
                model.reset_metrics()
            if model.stages and model.stages.enter(epoch):
                run_steps = None
                report.stage(model.stages.trained())
            run_steps = run_steps or compile_steps(model, seen, training, us)
            order = epoch_order(training, epoch, num_train, steps, us)[row:]
            longest = longest_block(seen.train_inputs, training.batch_size, BLOCK_STEPS)
            cut = blocks(order, step, training.check_weights_every, longest)
            heartbeat.doing(step + 1, "reading its inputs")
            for block, inputs, waited_s in feed(seen.train_inputs, cut):
                heartbeat.doing(step + 1, WAITING_FOR_ALL)
                with report.timing(len(block) * training.batch_size, waited_s):
                    so_far = {name: float(value) for name, value in run_steps(block, step, *inputs).items()}
                step += len(block)
                signal_name = check_in(us, so_far["loss"], step, stop.received)
                report.progress(epoch, step, so_far)
                if step % training.check_weights_every == 0:
                    check_weights(model, step)
                if signal_name and step % steps:
                    save(us, model, folder, step, steps, training, history)
                    raise Stopped(f"{signal_name} stopped the run after step {step}; it goes on from its checkpoint.")
                heartbeat.doing(step + 1, "reading its inputs")
            heartbeat.doing(step, "evaluating")
            metrics = global_metrics(model)
            average_statistics(model)
            with averaged(model):
                average_statistics(model)
                if num_train < len(data.train_inputs):
                    validated = evaluate(forward, seen.train_inputs[num_train:], data.train_targets[num_train:], top5)
                    metrics |= {f"val_{name}": value for name, value in validated.items()}
                history.append({"epoch": epoch, **metrics})
                if us.rank == 0 and best_epoch(history, training.keep_best) == epoch:
                    save_model(model, folder / BEST_MODEL_FILE)  # before the checkpoint that says it is the best
            report.end_epoch(step, float(model.optimizer.learning_rate), metrics)
            save(us, model, folder, step, steps, training, history)
            if signal_name and step < steps * training.epochs:
                raise Stopped(f"{signal_name} stopped the run after epoch {epoch}; it goes on from its checkpoint.")
        digest = check_weights(model, step)
        with averaged(model):
            tested = evaluate(forward, seen.test_inputs, data.test_targets, top5, training.mirrored)
            if us.rank == 0:
                save_model(model, folder / MODEL_FILE)
        best = best_epoch(history, training.keep_best)
        if best is not None and training.keep_best:
            report.best(history[best - 1], training.keep_best, BEST_MODEL_FILE)
        if us.rank == 0:
            shutil.rmtree(folder / FEATURES, ignore_errors=True)
        report.end({f"test_{name}": value for name, value in tested.items()}, digest)


def stage(us: World, chosen: Data) -> Dataset:
    """Return a data set, the same on all ranks; rank 0 downloads it if need be, one rank of each node reads it.

    Collective.

    Raises:
        WorldError: on all ranks: one of them cannot read it, or has another than the others.
    """
    failure = None
    try:
        if us.rank == 0:
            prepare(chosen)
    except DataError as error:
        failure = error
    us.first_failure(failure)

    def load() -> Dataset:
        if not chosen.stage:
            return load_dataset(chosen)
        staged = stage_files(find_path(str(chosen.path)), scratch_folder(os.environ))
        return load_dataset(chosen.model_copy(update={"path": str(staged)}))

    data = share_data(us, load)
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


def build(us: World, training: Training, data: Dataset, precision: str, steps: int) -> HorovodModel:
    """Return the compiled model for so many steps in an epoch. Collective.

    Raises:
        WorldError: on all ranks: there is no such model, or the recipe does not fit the data.
    """
    model, failure = None, None
    try:
        model = build_model(training, data, precision, steps * training.epochs, steps)
    except JobFileError as error:
        failure = error
    us.first_failure(failure)
    assert model is not None
    return model


def compile_steps(model: HorovodModel, data: Dataset, training: Training, us: World) -> Callable[..., Any]:
    """Return a function that makes one training step for each row of `indices` and returns the metrics so far.

    Inputs stay on the device as they are and are picked, changed and scaled inside the graph: one call into TensorFlow
    makes many steps, and Python is out of the loop. Those that are read from disk are given with each call, as `feed`
    brings them.
    """
    streamed, classes, labels = isinstance(data.train_inputs, Stream), has_classes(data), on_device(data.train_targets)
    resident = None if isinstance(data.train_inputs, Stream) else on_device(data.train_inputs)
    first, total = us.rank * training.batch_size, us.size * training.batch_size
    _, steps = divide(training, data, us)

    # A function of its own, not written into the loop: in a graph with a cycle TensorFlow hands operations to oneDNN in
    # an order of chance, and may leave the pooling's gradient to a kernel many times slower (docs/profile.md).
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def one_step(batch: Any, indices: Any, step: Any) -> None:
        seed, targets = tf.stack([training.seed, step]), tf.gather(labels, indices)
        targets = tf.one_hot(targets, data.num_classes) if classes else tf.cast(targets, tf.float32)
        both_sides = training.augment.flip == "alternate"
        mirrored = alternate(indices, step // steps, training.seed) if both_sides else None
        batch, targets = augment(batch, targets, training.augment, seed, first, total, mirrored)
        batch, small = scale_pixels(batch), training.small_images

        def whole() -> Any:
            return model.train_step((batch, targets))

        if small is None:
            whole()
        else:
            tf.cond(step < small.epochs * steps, lambda: model.train_step((shrink(batch, small.size), targets)), whole)

    signature = [tf.TensorSpec((None, training.batch_size), tf.int32), tf.TensorSpec((), tf.int32)]
    if streamed:
        shape = (None, training.batch_size, *data.train_inputs.shape[1:])
        signature.append(tf.TensorSpec(shape, tf.as_dtype(data.train_inputs.dtype)))

    @tf.function(autograph=False, input_signature=signature)
    def run_steps(indices: Any, step: Any, *inputs: Any) -> Any:
        def body(row: Any) -> Any:
            batch = inputs[0][row] if streamed else tf.gather(resident, indices[row])
            one_step(batch, indices[row], step + row)
            return row + 1

        tf.while_loop(lambda row: row < tf.shape(indices)[0], body, [tf.constant(0)], parallel_iterations=1)
        return model.get_metrics_result()

    return run_steps


def shrink(images: Any, size: int) -> Any:
    """Return images scaled to `size` pixels of height and width, smoothed first."""
    return tf.image.resize(images, (size, size), antialias=True)


def epoch_order(training: Training, epoch: int, num_train: int, steps: int, us: World) -> np.ndarray:
    """Return the images of each step of an epoch for this rank: int32, shape (steps, batch_size).

    The order of all images depends on seed and epoch alone, and each rank takes its part of every global batch:
    2 ranks with batch b see in each step what 1 rank with batch 2b sees. What does not fill a global batch is left
    out, other images in every epoch.
    """
    order = np.random.default_rng([training.seed, epoch]).permutation(num_train).astype(np.int32)
    taken = order[: steps * us.size * training.batch_size]
    return taken.reshape(steps, us.size, training.batch_size)[:, us.rank]


def blocks(order: np.ndarray, step: int, check_every: int, longest: int) -> Iterator[np.ndarray]:
    """Cut the steps of an epoch into blocks of at most `longest` steps; `step` are done.

    One ends wherever the weights are to be compared.
    """
    row = 0
    while row < len(order):
        stop = min(row + longest, len(order), row + check_every - (step + row) % check_every)
        yield order[row:stop]
        row = stop


def check_in(us: World, loss: float, step: int, signal_name: str | None) -> str | None:
    """Stop all ranks when the loss of one is not finite; return the signal that any of them got. Collective.

    Raises:
        WorldError: on all ranks: the loss of one of them is not finite.
    """
    for rank, (host, theirs, _) in enumerate(everyone := us.allgather((us.host, loss, signal_name))):
        if not math.isfinite(theirs):
            raise Diverged(
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


def save(
    us: World,
    model: HorovodModel,
    folder: Path,
    step: int,
    steps: int,
    training: Training,
    history: list[dict[str, float]],
) -> None:
    """Write a checkpoint; training goes on only when it is on the disk. Collective.

    Args:
        history: the metrics of each epoch that is finished.
    Raises:
        WorldError: on all ranks: it could not be written.
    """
    arrays, failure = capture(model, us), None
    if us.rank == 0:
        info = {
            "step": step,
            "steps_per_epoch": steps,
            "ranks": us.size,
            "batch_size": training.batch_size,
            "history": history,
        }
        best = step % steps == 0 and best_epoch(history, training.keep_best) == step // steps
        try:
            save_checkpoint(folder, step, arrays, info, training.keep_checkpoints, best)
        except OSError as fault:
            failure = DiskError(f"{folder}: the checkpoint of step {step} cannot be written ({fault.strerror}).")
    us.first_failure(failure)


def resume(
    us: World, model: HorovodModel, folder: Path, steps: int, batch_size: int
) -> tuple[int, list[dict[str, float]]]:
    """Go on from the newest whole checkpoint in the run's folder. Collective.

    With the same ranks and batch the continued run is the uninterrupted one, bit by bit. With others it goes on at the
    same image of the same epoch, and says so.

    Returns:
        The steps done, 0 without a checkpoint, and the metrics of each epoch that is finished.
    """
    found = us.broadcast(load_checkpoint(folder) if us.rank == 0 else None)
    if found is None:
        return 0, []
    arrays, info = found
    restore(model, us, arrays, info)
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
    return done, info["history"]
