"""Inputs that do not fit in memory: read and decoded by threads when they are asked for, always in the asked order."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np


class Stream:
    """Rows of inputs on disk. It behaves like an array where the trainer needs it to.

    `stream[10:20]` is a Stream of ten rows, nothing is read; `stream[np.array([3, 1])]` reads two rows, in this order;
    `np.asarray(stream)` reads all rows. Reading releases Python's lock while files are read and images decoded, so that
    threads work side by side; which of them reads a row makes no difference to it.
    """

    def __init__(
        self,
        read: Callable[[int], np.ndarray],
        rows: range | np.ndarray,
        row_shape: tuple[int, ...],
        dtype: Any,
        identity: str,
    ):
        """Take what reads one row, by its place in the whole.

        Args:
            read: returns row i as an array of `row_shape` and `dtype`; raises DataError when it cannot.
            rows: the places in the whole that are rows of this stream.
            identity: a text that differs when any row does, such as a checksum.
        """
        self._read, self._rows = read, rows
        self.shape = (len(rows), *row_shape)
        self.dtype = np.dtype(dtype)
        which = f"{rows.start} {rows.stop}" if isinstance(rows, range) else hashlib.sha256(rows.tobytes()).hexdigest()
        self.identity = f"{identity} {which}"
        self._whole_identity = identity

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._part(self._rows[index])
        wanted = np.asarray(index)
        taken = np.empty((wanted.size, *self.shape[1:]), self.dtype)

        def fill(place: int) -> None:
            taken[place] = self._read(int(self._rows[wanted.flat[place]]))

        for _ in readers().map(fill, range(wanted.size)):  # raises what a reader raised
            pass
        return taken.reshape(wanted.shape + self.shape[1:])

    def take(self, places: np.ndarray) -> "Stream":
        """Return the Stream of the rows at these places, in their order; nothing is read."""
        return self._part(np.asarray(self._rows)[places])

    def _part(self, rows: range | np.ndarray) -> "Stream":
        return Stream(self._read, rows, self.shape[1:], self.dtype, self._whole_identity)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[np.arange(len(self))], dtype)


@cache
def readers() -> ThreadPoolExecutor:
    """The threads that read and decode in this process: one for each core that it may use."""
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="input")
