"""The ranks share the inputs: each input once, the outputs in order, the same for any number of ranks."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from hpcdl.errors import DataError
from hpcdl.train.predict.samples import Samples
from hpcdl.train.trained import scale
from hpcdl.train.world import World

BATCH = 100
"""Inputs in a batch, the same on any number of ranks: a product of matrices may round differently for another batch."""


class Outputs(NamedTuple):
    """What the network answers to all inputs."""

    values: np.ndarray
    """float32, shape (n, outputs); NaN for an input that could not be read."""
    faults: dict[int, str]
    """Why an input could not be read, by its place."""


def claim_cores(us: World) -> int:
    """Let one operation of TensorFlow use one core, and return how many batches to compute at a time. Collective.

    A batch on one core gives the same bits however many cores and ranks there are; an operation that is cut for more
    cores adds up in another order. Call it before TensorFlow computes anything.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        index = us.local_rank % len(gpus)
        tf.config.set_visible_devices(gpus[index], "GPU")
        tf.config.experimental.set_memory_growth(gpus[index], True)
    cores = sorted(os.sched_getaffinity(0))
    neighbours = [theirs for host, theirs in us.allgather((us.host, cores)) if host == us.host]
    workers = max(1, len(set().union(*neighbours)) // us.local_size)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(workers)
    return workers


def predict(us: World, model: keras.Model, samples: Samples, workers: int, strict: bool) -> Outputs:
    """Return the outputs of all inputs, on all ranks. Collective.

    Args:
        workers: batches that this rank computes at a time.
        strict: whether an input that cannot be read ends it; else it is noted and left out.
    Raises:
        DataError: strict, and an input of this rank cannot be read.
    """
    total = len(samples.names)
    shape = model.input_shape[1:]

    @tf.function(input_signature=[tf.TensorSpec((BATCH, *shape), tf.float32)])
    def run(inputs: Any) -> Any:
        return tf.cast(model(inputs, training=False), tf.float32)

    compute = run.get_concrete_function()  # traced once, before there are threads

    def one(first: int) -> tuple[int, np.ndarray, dict[int, str]]:
        inputs, faults = np.zeros((BATCH, *shape), np.float32), {}
        last = min(first + BATCH, total)
        for index in range(first, last):
            try:
                inputs[index - first] = scale(samples.read(index))
            except DataError as fault:
                if strict:
                    raise
                faults[index] = str(fault)
        values = compute(tf.constant(inputs)).numpy()[: last - first]
        values[[index - first for index in faults]] = np.nan
        return first, values, faults

    mine = range(us.rank * BATCH, total, us.size * BATCH)
    with ThreadPoolExecutor(workers) as pool:
        batches = list(pool.map(one, mine))
    everyone = sorted((batch for theirs in us.allgather(batches) for batch in theirs), key=lambda batch: batch[0])
    values = np.concatenate([values for _, values, _ in everyone])
    assert len(values) == total, (len(values), total)
    return Outputs(values, {place: text for _, _, faults in everyone for place, text in faults.items()})
