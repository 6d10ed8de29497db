"""The last layer, the same for every network: classes, or numbers."""

from typing import Any

from keras import layers


def classification(features: Any, num_classes: int, dropout: float = 0.0) -> Any:
    """Return probabilities, float32 in every precision, of shape (batch, num_classes); they sum to 1.

    Args:
        features: shape (batch, num_features).
        num_classes: at least 2.
        dropout: the part of the features set to zero in training, 0 <= dropout < 1.
    """
    return layers.Dense(num_classes, activation="softmax", dtype="float32")(_drop(features, dropout))


def regression(features: Any, num_targets: int, dropout: float = 0.0) -> Any:
    """Return numbers without bounds, float32 in every precision, of shape (batch, num_targets). Arguments as above."""
    return layers.Dense(num_targets, dtype="float32")(_drop(features, dropout))


def _drop(features: Any, dropout: float) -> Any:
    return layers.Dropout(dropout)(features) if dropout else features
