"""What is to be predicted: the files of a folder, or the test inputs of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcdl.errors import DataError, LookError
from hpcdl.train.data import Dataset
from hpcdl.train.input_files import IMAGES, SIGNALS
from hpcdl.train.trained import Trained


@dataclass(frozen=True)
class Samples:
    """Inputs in their order, read when they are asked for."""

    names: Sequence[str]
    """Of each input: its path inside the folder, or its number in the test set."""
    truth: np.ndarray | None
    """int64 classes, shape (n,), or float32 numbers, shape (n, targets); None where it is not known."""
    read: Callable[[int], np.ndarray]
    """Returns one input as the network's data set has it; raises DataError when it cannot be read."""


def of_folder(folder: Path, trained: Trained, class_names: Sequence[str]) -> Samples:
    """Return the images (or, for a network on signals, the .npy files) of a folder and its subfolders, by path.

    The classes are known where each file lies in a subfolder that has the name of a class.

    Args:
        trained: the network; it says what is read from a file.
        class_names: the network's, in order.
    Raises:
        DataError: the folder cannot be read or holds no such file.
    """
    kinds = IMAGES if len(trained.input_shape) == 3 else SIGNALS
    try:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds and path.is_file())
    except OSError as fault:
        raise DataError(f"{folder}: cannot be read ({fault.strerror}).") from None
    if not paths:
        raise DataError(f"{folder}: holds no file that ends in {', '.join(sorted(kinds))}.")
    parts = [path.relative_to(folder).parts for path in paths]
    places = {name: place for place, name in enumerate(class_names)}
    known = all(len(part) > 1 and part[0] in places for part in parts)
    truth = np.array([places[part[0]] for part in parts], np.int64) if known else None
    return Samples(["/".join(part) for part in parts], truth, lambda index: trained.read(paths[index]))


def of_test_set(data: Dataset) -> Samples:
    """Return the test inputs of a data set."""
    rows = data.test_inputs
    names = [str(index) for index in range(len(rows))]
    return Samples(names, data.test_targets, lambda index: np.asarray(rows[np.array([index])])[0])


def class_names(data: Dataset | None, num_outputs: int) -> tuple[str, ...]:
    """Return the names of a network's outputs: the data set's, else their numbers.

    Raises:
        LookError: the data set has another number of classes or targets than the network.
    """
    if data is None:
        return tuple(map(str, range(num_outputs)))
    there = data.num_classes if data.num_classes is not None else len(data.target_names)
    if there != num_outputs:
        raise LookError(
            f"the network has {num_outputs} outputs, but {data.name} has {there}. Choose another by --data."
        )
    return tuple(data.class_names or data.target_names) or tuple(map(str, range(num_outputs)))
