"""Data sets for training. This folder needs NumPy only, so that a login node can fetch and check data."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train.data import mnist
from hpcdl.train.data.digits import load_digits


@dataclass(frozen=True)
class Dataset:
    """Inputs with what is to be said of them, in memory."""

    name: str
    train_inputs: np.ndarray
    """Images: uint8, shape (num_train, height, width, channels), values 0..255."""
    train_targets: np.ndarray
    """Classes: int64, shape (num_train,), values 0..num_classes - 1."""
    test_inputs: np.ndarray
    """As train_inputs, shape (num_test, height, width, channels)."""
    test_targets: np.ndarray
    """As train_targets, shape (num_test,)."""
    num_classes: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 over shapes and values: all ranks of a run must have the same."""
        digest = hashlib.sha256()
        for array in (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets):
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


LOADERS: dict[str, Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]] = {
    "mnist": mnist.load_mnist,
    "digits": load_digits,
}


def is_here(name: str) -> bool:
    """Whether a data set is on this machine, whole or not.

    Raises:
        DataError: the name is unknown.
    """
    _check_name(name)
    return name != "mnist" or mnist.is_here()


def prepare(name: str) -> None:
    """Make sure that a data set is on this machine, downloading it if need be. One process calls it, never each rank.

    Raises:
        DataError: the name is unknown, or the data are neither here nor to be had.
    """
    if not is_here(name):
        mnist.fetch_mnist()


def load_dataset(name: str) -> Dataset:
    """Return a data set that is on this machine; nothing is downloaded.

    Raises:
        DataError: the name is unknown, or the data are absent, incomplete or corrupt.
    """
    _check_name(name)
    train_inputs, train_targets, test_inputs, test_targets = LOADERS[name]()
    return Dataset(name, train_inputs, train_targets, test_inputs, test_targets, int(train_targets.max()) + 1)


def _check_name(name: str) -> None:
    if name not in LOADERS:
        raise DataError(f"train.data: '{name}' is no data set; there are {', '.join(sorted(LOADERS))}.")
