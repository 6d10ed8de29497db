"""`npz`: signals or images from one NumPy archive, for classes and for regression."""

import zlib
from collections.abc import Sequence
from zipfile import BadZipFile

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train.data.dataset import Dataset
from hpcdl.train.data.places import find_path

KEYS = ("x_train", "y_train", "x_test", "y_test")
"""The arrays that the archive must hold, named as in Keras's own archives."""


def load_npz(path: str, targets: Sequence[str] | None = None) -> Dataset:
    """Return the data set in an archive that `np.savez` wrote.

    x_*: signals, any float type, shape (n, length) or (n, length, channels), or images, uint8, shape
    (n, height, width[, channels]). y_*: whole numbers of shape (n,) are classes; floats of shape (n,) or (n, k) are a
    regression, whose k names are `targets`, else the archive's `target_names`. `class_names` may name the classes.

    Raises:
        DataError: the file is absent, torn or no such archive, or an array is not as above.
    """
    file = find_path(path)
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error, AttributeError) as fault:
        raise DataError(
            f"{file}: is no whole .npz archive of plain arrays ({fault}). Write it anew by np.savez."
        ) from None
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(f"{file}: has no array {missing[0]}; it holds {found}. It needs {', '.join(KEYS)}.")
    x_train, y_train, x_test, y_test = (arrays[key] for key in KEYS)
    names = {key: tuple(map(str, np.atleast_1d(arrays.get(key, [])))) for key in ("class_names", "target_names")}
    if np.issubdtype(y_train.dtype, np.integer):
        num_classes = int(max(y_train.max(initial=0), y_test.max(initial=0), len(names["class_names"]) - 1)) + 1
        wanted = [y.astype(np.int64) for y in (y_train, y_test)]
        target_names: tuple[str, ...] = ()
    else:
        num_classes = None
        wanted = [y.astype(np.float32).reshape(len(y), -1) for y in (y_train, y_test)]
        given = tuple(targets or ()) or names["target_names"]
        target_names = given or tuple(f"target_{i}" for i in range(wanted[0].shape[1]))
    if targets and num_classes:
        raise DataError(f"train.data.targets: {file} holds classes, which have no target names. Leave them out.")
    inputs = [_with_channels(x) for x in (x_train, x_test)]
    return Dataset(
        file.stem, inputs[0], wanted[0], inputs[1], wanted[1], num_classes, names["class_names"], target_names
    ).check()


def _with_channels(inputs: np.ndarray) -> np.ndarray:
    if np.issubdtype(inputs.dtype, np.floating):
        inputs = np.asarray(inputs, np.float32)
    plain = 2 if inputs.dtype == np.float32 else 3  # dimensions of signals and images that have one channel unwritten
    return inputs[..., None] if inputs.ndim == plain else inputs
