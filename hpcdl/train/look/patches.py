"""The patches of a data set that make a unit respond most."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hpcdl.train.look.receptive import Window


class Peak(NamedTuple):
    """Where a unit responds most in one input."""

    value: float
    sample: int
    """The input's place in the data set."""
    position: tuple[int, ...]
    """In the map of the layer: (row, column), or (sample,) for signals, or () for a dense layer."""


def peaks(maps: Iterable[np.ndarray], channel: int, count: int) -> list[Peak]:
    """Return the greatest responses of a channel over a data set, at most one for each input, greatest first.

    Source: R. Girshick et al., Rich Feature Hierarchies, 2014, arXiv:1311.2524, section 3.1; M. Zeiler and R. Fergus,
    Visualizing and Understanding Convolutional Networks, 2013, arXiv:1311.2901.

    Args:
        maps: batches of a layer's output in the order of the data set, each of shape (batch, *positions, channels).
        count: how many, fewer where the data set is smaller. Of equal responses the first in the data set comes first.
    """
    best: list[Peak] = []
    first = 0
    for batch in maps:
        responses = batch[..., channel]
        flat = responses.reshape(len(responses), -1)
        for row, place in enumerate(flat.argmax(axis=1)):
            position = tuple(int(part) for part in np.unravel_index(place, responses.shape[1:]))
            best.append(Peak(float(flat[row, place]), first + row, position))
        best = sorted(best, key=lambda peak: (-peak.value, peak.sample))[:count]
        first += len(batch)
    return best


def cut(image: np.ndarray, window: Window) -> np.ndarray:
    """Return the part of an input in a window; NaN where the window reaches beyond the border.

    Args:
        image: float32, shape (*lengths, channels).
    Returns:
        float32, shape (*lengths of the window, channels).
    """
    patch = np.full((*(stop - start for start, stop in window), image.shape[-1]), np.nan, np.float32)
    inside = tuple(slice(max(start, 0), min(stop, n)) for (start, stop), n in zip(window, image.shape, strict=False))
    there = tuple(slice(part.start - start, part.stop - start) for part, (start, _) in zip(inside, window, strict=True))
    patch[there] = image[inside]
    return patch
