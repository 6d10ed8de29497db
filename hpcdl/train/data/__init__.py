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
    """Images with class labels, in memory."""

    name: str
    train_images: np.ndarray
    """uint8, shape (num_train, height, width, channels), values 0..255."""
    train_labels: np.ndarray
    """int64, shape (num_train,), values 0..num_classes - 1."""
    test_images: np.ndarray
    """As train_images, shape (num_test, height, width, channels)."""
    test_labels: np.ndarray
    """As train_labels, shape (num_test,)."""
    num_classes: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 over shapes and values: all ranks of a run must have the same."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
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
    train_images, train_labels, test_images, test_labels = LOADERS[name]()
    return Dataset(name, train_images, train_labels, test_images, test_labels, int(train_labels.max()) + 1)


def _check_name(name: str) -> None:
    if name not in LOADERS:
        raise DataError(f"train.data: '{name}' is no data set; there are {', '.join(sorted(LOADERS))}.")
