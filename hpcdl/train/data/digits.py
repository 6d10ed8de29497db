"""`digits`: the 1,797 real handwritten digits that scikit-learn carries, for a machine with neither data nor network.

Source: the test set of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998: 8x8 images,
values 0..16. Here they are scaled to MNIST's 28x28 and 0..255, so that MNIST's networks take them as they are.
"""

import numpy as np

from hpcdl.train.data.dataset import Dataset

TEST_ROWS = 360
"""The last rows are the test set: one fifth of 1,797, rounded up."""


def load_digits() -> Dataset:
    """Return the digits as images of shape (28, 28, 1), the last fifth of them as the test set."""
    from sklearn.datasets import load_digits as load_bundled

    bundled = load_bundled()
    images = _scale(bundled.images.astype(np.float32) * (255 / 16))
    labels = bundled.target.astype(np.int64)
    train, test = slice(None, -TEST_ROWS), slice(-TEST_ROWS, None)
    names = tuple("0123456789")
    return Dataset("digits", images[train], labels[train], images[test], labels[test], len(names), names)


def _scale(images: np.ndarray) -> np.ndarray:
    """Scale (n, 8, 8) to 20x20 by bilinear interpolation, inside a border of 4: MNIST's own proportions."""
    positions = (np.arange(20) + 0.5) * (8 / 20) - 0.5
    low = np.clip(np.floor(positions).astype(int), 0, 6)
    part = np.clip(positions - low, 0, 1).astype(np.float32)
    rows = images[:, low] * (1 - part)[None, :, None] + images[:, low + 1] * part[None, :, None]
    scaled = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
    return np.pad(np.rint(scaled).astype(np.uint8), ((0, 0), (4, 4), (4, 4)))[..., None]
