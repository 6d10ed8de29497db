"""What every data set is to the trainer, wherever it came from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train.data.stream import Stream

Inputs = np.ndarray | Stream
"""Inputs in memory, or read when they are asked for; both have shape, dtype, a length, slices and rows by index."""


@dataclass(frozen=True)
class Dataset:
    """Inputs with what is to be said of them."""

    name: str
    train_inputs: Inputs
    """Images: uint8, shape (num_train, height, width, channels), values 0..255.
    Signals: float32, shape (num_train, length, channels)."""
    train_targets: np.ndarray
    """Classes: int64, shape (num_train,), values 0..num_classes - 1.
    Regression: float32, shape (num_train, num_targets)."""
    test_inputs: Inputs
    """As train_inputs, num_test of them."""
    test_targets: np.ndarray
    """As train_targets, num_test of them."""
    num_classes: int | None
    """None for a regression."""
    class_names: tuple[str, ...] = ()
    """Where they are known: the name of class i at place i."""
    target_names: tuple[str, ...] = ()
    """Of a regression: the name of each value to predict."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over shapes and values: all ranks of a run must have the same."""
        digest = hashlib.sha256()
        for array in (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets):
            digest.update(f"{tuple(array.shape)}{array.dtype}".encode())
            digest.update(array.identity.encode() if isinstance(array, Stream) else np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __str__(self) -> str:
        shape = "x".join(str(size) for size in self.train_inputs.shape[1:])
        wanted = f"{self.num_classes} classes" if self.num_classes else f"predict {', '.join(self.target_names)}"
        where = "read from disk while training" if isinstance(self.train_inputs, Stream) else "in memory"
        return f"{self.name}: {shape} {self.train_inputs.dtype}, {wanted}, {where}"

    def check(self) -> "Dataset":
        """Return the data set itself if it is as the fields above say.

        Raises:
            DataError: names the first part that is not.
        """
        for part in ("train", "test"):
            inputs, targets = getattr(self, f"{part}_inputs"), getattr(self, f"{part}_targets")
            shape = tuple(inputs.shape)
            if (inputs.dtype, len(shape)) not in ((np.uint8, 4), (np.float32, 3)):
                raise DataError(
                    f"{self.name}: its {part} inputs are {inputs.dtype} of shape {shape}; they must be images, uint8 "
                    "of shape (n, height, width, channels), or signals, float32 of shape (n, length, channels)."
                )
            if shape[1:] != tuple(self.train_inputs.shape[1:]):
                raise DataError(
                    f"{self.name}: test inputs have shape {shape}, but train inputs {self.train_inputs.shape}."
                )
            if not len(inputs) or len(inputs) != len(targets):
                raise DataError(
                    f"{self.name}: {len(inputs)} {part} inputs with {len(targets)} targets; give one for each."
                )
            self._check_targets(part, targets)
        return self

    def _check_targets(self, part: str, targets: np.ndarray) -> None:
        if self.num_classes is None:
            if targets.dtype != np.float32 or targets.shape[1:] != (len(self.target_names),):
                raise DataError(
                    f"{self.name}: its {part} targets are {targets.dtype} of shape {targets.shape}; they "
                    f"must be float32 of shape (n, {len(self.target_names)}), a column for each name."
                )
            if not np.isfinite(targets).all():
                raise DataError(f"{self.name}: its {part} targets hold a value that is not finite (NaN or infinity).")
        elif targets.dtype != np.int64 or targets.ndim != 1 or targets.min() < 0 or targets.max() >= self.num_classes:
            found = f"{targets.min()}..{targets.max()}" if targets.size else "nothing"
            raise DataError(
                f"{self.name}: its {part} targets are {targets.dtype} of shape {targets.shape} with values {found}; "
                f"classes must be int64 of shape (n,) with values 0..{self.num_classes - 1}."
            )
