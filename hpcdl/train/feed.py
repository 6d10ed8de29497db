"""From a data set to the training step: inputs that lie on disk are read ahead by threads while the step computes."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from hpcdl.train.data.dataset import Inputs
from hpcdl.train.data.stream import Stream

AHEAD = 2
"""Parts that are read ahead."""
BLOCK_BYTES = 64 * 2**20
"""The most that the inputs of one block of steps may hold, when they are read from disk."""


class Part(NamedTuple):
    """Some rows of the inputs."""

    index: Any
    """Which rows: what was asked for."""
    rows: np.ndarray
    waited_s: float
    """Seconds in which nothing was done but waiting for them."""


def read_ahead(inputs: Inputs, indices: Iterable[Any]) -> Iterator[Part]:
    """Yield `inputs[index]` for each index, in order; those of a Stream are read by threads before they are asked for.

    Raises:
        DataError: an input cannot be read.
    """
    if not isinstance(inputs, Stream):
        yield from (Part(index, inputs[index], 0.0) for index in indices)
        return
    waiting: deque[tuple[Any, Future[np.ndarray]]] = deque()
    remaining = iter(indices)
    pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")  # it asks the threads of stream.py to decode
    try:
        while True:
            for index in islice(remaining, AHEAD - len(waiting)):
                waiting.append((index, pool.submit(_read, inputs, index)))
            if not waiting:
                return
            index, future = waiting.popleft()
            began = time.perf_counter()
            rows = future.result()
            yield Part(index, rows, time.perf_counter() - began)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def feed(inputs: Inputs, blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...], float]]:
    """Yield each block of steps, the inputs that it needs brought along, and the seconds waited for them.

    Args:
        blocks: int32, shape (steps, batch_size): the rows of `inputs` that each step takes.
    """
    if isinstance(inputs, Stream):
        yield from ((part.index, (part.rows,), part.waited_s) for part in read_ahead(inputs, blocks))
    else:  # they are on the device
        yield from ((block, (), 0.0) for block in blocks)


def longest_block(inputs: Inputs, batch_size: int, steps: int) -> int:
    """Return how many steps one call into TensorFlow may make: `steps`, fewer where it brings their inputs along."""
    if not isinstance(inputs, Stream):
        return steps
    step_bytes = batch_size * int(np.prod(inputs.shape[1:])) * inputs.dtype.itemsize
    return max(1, min(steps, BLOCK_BYTES // step_bytes))


def _read(inputs: Stream, index: Any) -> np.ndarray:
    return np.asarray(inputs[index])
