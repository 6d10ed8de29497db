"""How good predictions of classes are: the confusion matrix, and precision, recall and F1 of each class."""

import numpy as np


def confusion(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Return how often class i was taken for class j: int64, shape (num_classes, num_classes), [truth, predicted].

    Args:
        truth, predicted: int64, shape (n,), values 0..num_classes - 1.
    """
    counts = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def by_class(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall, F1 and n of each class, from the confusion matrix.

    precision: of those taken for the class, the part that is of it; recall: of those of the class, the part that was
    found; f1: their harmonic mean, 2 TP / (2 TP + FP + FN). NaN where nothing was there to divide by.
    """
    right, truth, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        "precision": _part(right, predicted),
        "recall": _part(right, truth),
        "f1": _part(2 * right, truth + predicted),
        "n": truth,
    }


def worst(truth: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the worst mistakes: wrong, and the surest first; of equally sure ones the first.

    Args:
        truth: int64, shape (n,).
        values: probabilities, shape (n, num_classes); a row of NaN is no prediction, and no mistake.
    """
    there = ~np.isnan(values).any(axis=1)
    best = np.where(there, np.nan_to_num(values).argmax(axis=1), truth)
    wrong = np.flatnonzero(best != truth)
    return wrong[np.argsort(-values[wrong, best[wrong]], kind="stable")][:count]


def _part(some: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(some, whole, out=np.full(len(some), np.nan), where=whole > 0)
