"""The nearest neighbours of an input, as the network sees them."""

import numpy as np


def nearest(features: np.ndarray, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `features` that are nearest to `query`, by Euclidean distance.

    Source: A. Krizhevsky, I. Sutskever and G. Hinton, ImageNet Classification with Deep Convolutional Neural Networks,
    NIPS 2012, section 6.1, where the features are those of the last hidden layer.

    Args:
        features: float, shape (n, num_features): one row for each input of a data set.
        query: float, shape (num_features,).
        count: how many, at most n.
    Returns:
        int64 places in `features` and float64 distances, nearest first, both of shape (count,); of two equally near
        the one that comes first.
    """
    # Not |a|^2 - 2ab + |b|^2: that loses what is left of two equal numbers.
    distances = np.linalg.norm(features.astype(np.float64) - query.astype(np.float64), axis=1)
    order = np.argsort(distances, kind="stable")[:count]
    return order, distances[order]
