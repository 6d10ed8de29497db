"""What the ranks of one node share: one copy of the data in memory, which one of them has read."""

import mmap
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hpcdl.errors import HpcdlError
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.world import World

MEMORY_FOLDER = Path("/dev/shm")
"""Linux's file system in memory."""
ALIGNMENT = 64
"""TensorFlow takes an array as it lies where it begins at a multiple of this many bytes."""


def share_data(us: World, load: Callable[[], Dataset]) -> Dataset:
    """Return what `load` returns; of the ranks on a node only the first calls it, and its arrays are there only once.

    Where the shared memory has no room, each rank loads a copy of its own. Collective.

    Raises:
        WorldError: on all ranks: `load` raised an HpcdlError on one of them.
    """
    data, failure, offer = None, None, None
    if us.local_rank == 0:
        data, failure = _attempt(load)
    us.first_failure(failure)
    if us.local_size == 1:
        assert data is not None
        return data
    if data is not None:
        offer = _offer(data)
    content, spans, path = us.node.bcast(offer)
    if path is None:
        data, failure = (data, None) if us.local_rank == 0 else _attempt(load)
    else:
        memory = _map(path)
        us.node.barrier()
        if us.local_rank == 0:
            os.unlink(path)  # now, so that nothing stays behind whatever happens: the memory lives as long as its ranks
            _fill(memory, spans, data)
        us.node.barrier()
        view = memoryview(memory)
        data, failure = pickle.loads(content, buffers=[view[start:stop] for start, stop in spans]), None
    us.first_failure(failure)
    assert data is not None
    return data


def _attempt(load: Callable[[], Dataset]) -> tuple[Dataset | None, HpcdlError | None]:
    try:
        data = load()
        _ = data.digest  # it travels with the data: computed once on each node
        return data, None
    except HpcdlError as error:
        return None, error


def _offer(data: Dataset) -> tuple[bytes, list[tuple[int, int]], str | None]:
    """Return the data set without its arrays, where each of them is to lie, and a file in memory with room for all.

    The file is None where there is no room, or where the data set cannot travel between processes.
    """
    try:
        content, buffers = _take_apart(data)
    except (pickle.PicklingError, AttributeError, TypeError):  # a user's Stream over something that has no name
        return b"", [], None
    spans, size = [], 0
    for buffer in buffers:
        spans.append((size, size + buffer.nbytes))
        size += -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT
    path = None
    try:
        descriptor, path = tempfile.mkstemp(prefix="hpcdl-", dir=MEMORY_FOLDER)
        try:
            os.posix_fallocate(descriptor, 0, max(size, 1))  # says now that there is no room, not by a SIGBUS later
        finally:
            os.close(descriptor)
    except OSError:
        if path:
            os.unlink(path)
        return b"", [], None
    return content, spans, path


def _take_apart(data: Dataset) -> tuple[bytes, list[memoryview]]:
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(data, protocol=5, buffer_callback=buffers.append)
    return content, [buffer.raw() for buffer in buffers]


def _map(path: str) -> mmap.mmap:
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def _fill(memory: mmap.mmap, spans: list[tuple[int, int]], data: Dataset | None) -> None:
    assert data is not None
    _, buffers = _take_apart(data)
    whole = np.frombuffer(memory, np.uint8)
    for (start, stop), buffer in zip(spans, buffers, strict=True):
        whole[start:stop] = np.frombuffer(buffer, np.uint8)


def on_device(array: np.ndarray) -> Any:
    """Return an array as a tensor where the training step runs.

    On a CPU the tensor is the array itself, no copy, where TensorFlow can take it as it lies.
    """
    aligned = array.ctypes.data % ALIGNMENT == 0 and array.flags.c_contiguous and array.flags.writeable
    if aligned and array.size and not tf.config.get_visible_devices("GPU"):
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.constant(array)
