"""The pictures of predictions: the confusion matrix, the worst mistakes, predicted against true numbers."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from hpcdl.train.look.figures import Labelled
from hpcdl.train.pictures import RIGHT, bare, caption, grid, show_input

READABLE = 20
"""Classes up to which each cell of the confusion matrix has its number."""


def confusion(matrix: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Draw the confusion matrix: a row for each true class, coloured by the part of the row, labelled by the count."""
    size = len(matrix)
    inches = min(3.5 + 0.45 * size, 14)
    figure = Figure(figsize=(inches + 0.8, inches), layout="constrained")
    axes = figure.subplots()
    parts = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(parts, cmap="Blues", norm=PowerNorm(0.4, vmin=0, vmax=1))  # few mistakes are seen too
    figure.colorbar(shown, ax=axes, label="part of the true class", shrink=0.8, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    axes.set(xlabel="predicted class", ylabel="true class")
    if size <= 2 * READABLE:
        small = 9 if size <= READABLE else 6
        turned = max(map(len, names)) > 3
        axes.set_xticks(
            range(size), names, rotation=45 if turned else 0, ha="right" if turned else "center", fontsize=small
        )
        axes.set_yticks(range(size), names, fontsize=small)
    if size <= READABLE:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                colour = "white" if parts[row, column] > 0.3 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    caption(figure, title, "")
    return figure


def mistakes(worst: Sequence[Labelled], wrong: int, total: int) -> Figure:
    """Draw the worst mistakes: wrong, and sure of it.

    Args:
        wrong, total: how many inputs were taken for another class, and how many there are.
    """
    signal = worst[0].values.ndim == 2
    figure, places = grid(len(worst), columns=2 if signal else 6, width=3.6 if signal else 1.35, height=1.6)
    for axes, mistake in zip(places, worst, strict=True):
        show_input(axes, mistake.values)
        bare(axes)
        axes.set_title(mistake.label, fontsize=8, pad=3)
    caption(figure, f"Some bad examples: the surest of {wrong} mistakes in {total}", "true -> predicted (probability)")
    return figure


def numbers(truth: np.ndarray, values: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw the predicted against the true numbers of a regression, a panel for each target."""
    figure = Figure(figsize=(3.4 * len(names), 3.8), layout="constrained")
    places = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name, true, predicted in zip(places, names, truth.T, values.T, strict=True):
        both = [np.nanmin([true, predicted]), np.nanmax([true, predicted])]
        axes.plot(both, both, color="#888888", linewidth=1)
        axes.scatter(true, predicted, s=4, alpha=0.4, color=RIGHT, linewidths=0)
        axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
        axes.set_aspect("equal", "datalim")
    caption(figure, "Predicted and true", "A right prediction lies on the line")
    return figure
