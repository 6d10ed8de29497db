"""`synthetic`: inputs of any shape made from a seed, for measuring speed and for trying a network out."""

from collections.abc import Sequence

import numpy as np

from hpcdl.errors import DataError
from hpcdl.train.data.dataset import Dataset


def load_synthetic(
    shape: Sequence[int] = (28, 28, 1),
    num_classes: int | None = None,
    num_train: int = 1024,
    num_test: int = 256,
    seed: int = 0,
    targets: Sequence[str] | None = None,
) -> Dataset:
    """Return noise around one pattern for each class (10 if num_classes is None), which a network can learn.

    With `targets` it is a regression: each target is a fixed linear function of the input.

    Args:
        shape: (height, width, channels) gives uint8 images, (length, channels) float32 signals.

    Raises:
        DataError: the shape is neither, or both classes and targets are asked for.
    """
    if len(shape) not in (2, 3):
        raise DataError(
            f"train.data.shape: {list(shape)} has {len(shape)} numbers; give [height, width, channels] or "
            "[length, channels]."
        )
    if targets and num_classes:
        raise DataError("train.data: synthetic takes num_classes (classes) or targets (a regression), not both.")
    random = np.random.default_rng(seed)
    num = num_train + num_test
    values = random.random((num, *shape), np.float32)
    wanted: np.ndarray
    if targets:
        weights = random.standard_normal((int(np.prod(shape)), len(targets))).astype(np.float32)
        wanted = (values.reshape(num, -1) - 0.5) @ weights / np.float32(np.sqrt(len(weights)))
    else:
        classes = num_classes or 10
        wanted = random.integers(0, classes, num)
        values += random.random((classes, *shape), np.float32)[wanted]
        values /= 2
    inputs = (values * 255).astype(np.uint8) if len(shape) == 3 else values
    return Dataset(
        "synthetic",
        inputs[:num_train],
        wanted[:num_train],
        inputs[num_train:],
        wanted[num_train:],
        None if targets else classes,
        target_names=tuple(targets or ()),
    ).check()
